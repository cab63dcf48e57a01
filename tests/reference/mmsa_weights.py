"""What each parameter of ours is called in MMSA 2.2.1, and how it lies there."""

from collections.abc import Callable

from torch import Tensor, nn

from models.graph_mfn import OUTPUT, SOURCES
from models.system import MODALITIES
from tests.reference.rule import small_bert
from tests.reference.side_by_side import Weights, same

HIDDEN = {"text": 6, "audio": 4, "vision": 5}
NAMES = {"text": "text", "audio": "audio", "vision": "video"}
HEADS = {"T": ("text", 4), "A": ("audio", 3), "V": ("video", 5)}
OUT, NETWORK, VERTEX = 5, 8, 9
BERT = 768  # the width of MISA's text encoder, which no argument of MMSA changes


def linear(ours: str, theirs: str, change: Callable[[Tensor], Tensor] = same) -> Weights:
    return [(f"{ours}.weight", f"{theirs}.weight", change), (f"{ours}.bias", f"{theirs}.bias", same)]


def late_fusion(*heads: str) -> Weights:
    """The modalities' networks and the heads of some tasks."""
    pairs = [(f"subnets.text.lstm.{part}_l0", f"text_subnet.rnn.{part}_l0", same)
             for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]  # fmt: skip
    pairs += linear("subnets.text.linear", "text_subnet.linear_1")
    for modality in ("audio", "vision"):
        for place, layer in ((0, "norm"), (2, "linear_1"), (4, "linear_2"), (6, "linear_3")):
            pairs += linear(f"subnets.{modality}.{place}", f"{NAMES[modality]}_subnet.{layer}")
    for task in heads:
        for layer in (1, 2, 3):
            pairs += linear(f"heads.{task}.{2 * layer - 1}", f"post_{HEADS[task][0]}_layer_{layer}")
    return pairs


def joined(weight: Tensor) -> Tensor:
    """Columns for [text, audio, vision] as those for [audio, vision, text]."""
    return weight.roll(-OUT, 1)


def tensor(weight: Tensor) -> Tensor:
    """Columns for [1; t] x [1; a] x [1; v] as those for [1; a] x [1; v] x [1; t]."""
    sides = (OUT + 1, HIDDEN["audio"] + 1, HIDDEN["vision"] + 1)
    return weight.unflatten(1, sides).permute(0, 2, 3, 1).flatten(1)


def concatenation(*heads: str) -> Weights:
    layers = linear("fusion.1", "post_fusion_layer_1", joined)
    return late_fusion(*heads) + layers + linear("fusion.3", "post_fusion_layer_2") + linear("fusion.5", "post_fusion_layer_3")


def outer_product(*heads: str) -> Weights:
    layers = linear("tensor", "post_fusion_layer_1", tensor)
    return late_fusion(*heads) + layers + linear("fusion.1", "post_fusion_layer_2") + linear("fusion.3", "post_fusion_layer_3")


def low_rank(*heads: str) -> Weights:
    factors = [(f"factors.{name}", f"{NAMES[name]}_factor", lambda factor: factor.T[..., None]) for name in MODALITIES]
    rest = [
        ("rank_weights", "fusion_weights", lambda weights: weights[None]),
        ("bias", "fusion_bias", lambda bias: bias[None, None]),
    ]
    return late_fusion(*heads) + factors + rest


def memory_fusion() -> Weights:
    pairs = [
        (f"cells.{name}.{part}", f"lstm_{letter}.{part}", same)
        for name, letter in zip(MODALITIES, "lav", strict=True)
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    for network, theirs in (
        ("attention", "att1"),
        ("update", "att2"),
        ("retain", "gamma1"),
        ("write", "gamma2"),
        ("output", "out"),
    ):
        pairs += linear(f"{network}.0", f"{theirs}_fc1") + linear(f"{network}.3", f"{theirs}_fc2")
    return pairs


def early_fusion() -> Weights:
    parts = [f"{kind}_{part}_l{layer}" for layer in (0, 1) for kind in ("weight", "bias") for part in ("ih", "hh")]
    return [(f"lstm.{part}", f"lstm.{part}", same) for part in parts] + linear("output.1", "linear") + linear("output.4", "out")


def transformer(ours: str, theirs: str, layers: int) -> Weights:
    """A stack of layers; MMSA has query, key and value in one matrix, of which `[i]` is a third."""
    pairs = linear(f"{ours}.norm", f"{theirs}.layer_norm")
    for i in range(layers):
        own, other = f"{ours}.layers.{i}", f"{theirs}.layers.{i}"
        pairs += linear(f"{own}.attention_norm", f"{other}.layer_norms.0") + linear(
            f"{own}.feed_forward.0", f"{other}.layer_norms.1"
        )
        pairs += linear(f"{own}.feed_forward.1", f"{other}.fc1") + linear(f"{own}.feed_forward.3", f"{other}.fc2")
        pairs += linear(f"{own}.attention.output", f"{other}.self_attn.out_proj")
        for place, name in enumerate(("query", "key", "value")):
            pairs.append((f"{own}.attention.{name}.weight", f"{other}.self_attn.in_proj_weight[{place}]", same))
            if name != "key":  # a bias of the keys cancels in the softmax
                pairs.append((f"{own}.attention.{name}.bias", f"{other}.self_attn.in_proj_bias[{place}]", same))
    return pairs


def multimodal_transformer() -> Weights:
    letters = dict(zip(MODALITIES, "lav", strict=True))
    pairs = linear("residual.0", "proj1") + linear("residual.3", "proj2") + linear("output", "out_layer")
    for target, letter in letters.items():
        pairs.append((f"convolutions.{target}.weight", f"proj_{letter}.weight", same))
        pairs += transformer(f"memories.{target}", f"trans_{letter}_mem", 3)
        for source, other in letters.items():
            if source != target:
                pairs += transformer(f"crossmodal.{target}_from_{source}", f"trans_{letter}_with_{other}", 2)
    return pairs


def graph() -> Weights:
    """Our gates have what they see and what they recall apart; together they are MMSA's first layer."""
    letters = dict(zip(MODALITIES, "lav", strict=True))
    pairs = []
    for name, letter in letters.items():
        pairs += [
            (f"lstms.{name}.{kind}_l0", f"lstm_{letter}.{kind}", same)
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        pairs += linear(f"windows.{name}", f"{letter}_transform")
    for number in (0, 1, 2):
        theirs = ("0", "1.0", "2")[number]
        pairs += linear(f"graph.efficacies.{number}", f"graph_mfn.efficacy_model.{theirs}")
    for target in SOURCES:
        network = "t_network" if target == OUTPUT else f"networks_{'_'.join(target)}"
        pairs += linear(f"graph.maps.{'_'.join(target)}.0", f"graph_mfn.{network}.0")
        pairs += linear(f"graph.maps.{'_'.join(target)}.1", f"graph_mfn.{network}.1.0")
    pairs += linear("update.0", "att2_fc1") + linear("update.3", "att2_fc2")
    for gate, theirs in (("retain", "gamma1"), ("write", "gamma2")):
        pairs.append((f"{gate}.seen.weight", f"{theirs}_fc1.weight[:{VERTEX}]", same))
        pairs.append((f"{gate}.recalled.weight", f"{theirs}_fc1.weight[{VERTEX}:]", same))
        pairs.append((f"{gate}.seen.bias", f"{theirs}_fc1.bias", same))
        pairs += linear(f"{gate}.open.2", f"{theirs}_fc2")
    return pairs + linear("output.0", "out_fc1") + linear("output.3", "out_fc2")


def text_encoder(theirs: str, width: int) -> Weights:
    """All of the encoder, which is the same in both."""
    names = [name for name, _ in small_bert(width).named_parameters()]
    return [(f"encoder.{name.replace('encoder.layer', 'layers', 1)}", f"{theirs}.{name}", same) for name in names]


def directions(ours: str, theirs: str) -> Weights:
    """A bidirectional LSTM."""
    return [
        (f"{ours}.{direction}.{kind}_l0", f"{theirs}.{kind}_l0{suffix}", same)
        for direction, suffix in (("forwards", ""), ("backwards", "_reverse"))
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]


def by_direction(weight: Tensor) -> Tensor:
    """Columns for [first forwards, first backwards, second forwards, second backwards], by direction instead."""
    return weight.unflatten(1, (2, 2, -1)).transpose(1, 2).flatten(1)


def text_vision_audio(weight: Tensor) -> Tensor:
    """Columns for the private and the shared part of text, audio, vision as those for text, vision, audio."""
    return weight.unflatten(1, (2, 3, -1))[:, :, [0, 2, 1]].flatten(1)


def invariant_and_specific() -> Weights:
    pairs = text_encoder("bertmodel.model", BERT) + linear("shared.0", "shared.shared_1")
    for modality, letter in zip(MODALITIES, "tav", strict=True):
        if modality == "text":
            pairs += linear("vectors.project.text.0", "project_t.project_t")
        else:
            own = f"vectors.recurrent.{modality}"
            pairs += directions(f"{own}.first", f"{letter}rnn1") + directions(f"{own}.second", f"{letter}rnn2")
            pairs += linear(f"{own}.norm", f"{letter}layer_norm")
            pairs += linear(f"vectors.project.{modality}.0", f"project_{letter}.project_{letter}", by_direction)
        pairs += linear(f"vectors.project.{modality}.2", f"project_{letter}.project_{letter}_layer_norm")
        pairs += linear(f"private.{modality}.0", f"private_{letter}.private_{letter}_{3 if letter == 'a' else 1}")
        pairs += linear(f"decoders.{modality}", f"recon_{letter}.recon_{letter}_1")
    layer = nn.TransformerEncoderLayer(2, 1)
    pairs += [(f"fusion.{name}", f"transformer_encoder.layers.0.{name}", same) for name, _ in layer.named_parameters()]
    return pairs + linear("output.0", "fusion.fusion_layer_1", text_vision_audio) + linear("output.3", "fusion.fusion_layer_3")


def self_supervised() -> Weights:
    pairs = text_encoder("text_model.model", NETWORK)
    for modality in ("audio", "vision"):
        own, other = f"subnets.{modality}", f"{NAMES[modality]}_model"
        pairs += [
            (f"{own}.lstm.{kind}_l0", f"{other}.rnn.{kind}_l0", same)
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        pairs += linear(f"{own}.linear", f"{other}.linear_1")
    for task, name in {"M": "fusion", "T": "text", "A": "audio", "V": "video"}.items():
        pairs += linear(f"features.{task}.1", f"post_{name}_layer_1") + linear(f"heads.{task}", f"post_{name}_layer_3")
    return pairs


def gate_in_bert() -> Weights:
    pairs = text_encoder("model.bert", NETWORK) + linear("pooler.0", "model.bert.pooler.dense")
    for modality, letter in (("audio", "a"), ("vision", "v")):
        pairs += linear(f"gate.gates.{modality}", f"model.bert.MAG.W_h{letter}")
        pairs.append((f"gate.shifts.{modality}.weight", f"model.bert.MAG.W_{letter}.weight", same))
    return pairs + linear("gate.norm", "model.bert.MAG.LayerNorm") + linear("output.1", "model.classifier")
