"""MMSA 2.2.1 beside our systems: the same small network built in both, with the same weights.

The reference is no part of this repository: MMSA_FOLDER names the unpacked wheel (`pip download --no-deps MMSA==2.2.1`, unzip).
"""

import importlib
import sys
import types
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import load_system
from models.graph_mfn import OUTPUT, SOURCES
from models.system import MODALITIES, System, build_config
from tests.reference.rule import LENGTH, WIDTHS

HIDDEN = {"text": 6, "audio": 4, "vision": 5}
ORDER = ("text", "audio", "vision")  # in which MMSA takes its inputs
NAMES = {"text": "text", "audio": "audio", "vision": "video"}
HEADS = {"T": ("text", 4), "A": ("audio", 3), "V": ("video", 5)}
OUT, FUSION, RANK, MEMORY, NETWORK = 5, 7, 3, 6, 8
Weights = list[tuple[str, str, Callable[[Tensor], Tensor]]]  # our name, MMSA's name, how ours becomes MMSA's


def same(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True)
class Reference:
    """A system in both codes. values : of our configuration. module : of MMSA. arguments : MMSA's. pooled : audio and vision
    come as their mean."""

    values: dict
    module: str
    arguments: dict
    weights: Callable[[], Weights]
    pooled: bool
    taken_out: str = ""  # a part of MMSA's network that ours has not, and why: docs/public_code.md


def build(folder: Path, reference: Reference) -> nn.Module:
    """A network of MMSA; the parts of the package that need its other requirements are passed over."""
    module = reference.module
    for name in ("MMSA", "MMSA.models", "MMSA.models.singleTask", "MMSA.models.multiTask"):
        package = types.ModuleType(name)
        package.__path__ = [str(folder / name.replace(".", "/"))]
        sys.modules[name] = package
    of_system = importlib.import_module(f"MMSA.models.{module}")
    network = getattr(of_system, module.split(".")[1])(Namespace(train_mode="regression", **reference.arguments))
    for module in network.children():  # the graph keeps its networks in a plain dict, which torch does not look into
        for key, inner in getattr(module, "networks", {}).items():
            module.add_module("networks_" + "_".join(ORDER[i] for i in key), inner)
    if reference.taken_out:
        setattr(network, reference.taken_out, nn.Identity())
    return network


def ours(name: str) -> System:
    """Our system of the same size."""
    reference = REFERENCES[name]
    base = {"batch_size": 4, "learning_rate": 1e-3, "early_stop": 1, "max_epochs": 1}
    system_class = load_system(name)
    system = system_class(
        build_config(system_class.config_class, base | reference.values), WIDTHS, dict.fromkeys(WIDTHS, LENGTH)
    )
    system.label_range = (-3.0, 3.0)
    return system


def run(network: nn.Module, pooled: bool, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Outputs of a network of MMSA: {task: Tensor [shape=(B,)]}."""
    inputs = [batch[name].mean(1, keepdim=True) if pooled and name != "text" else batch[name] for name in ORDER]
    return {task: values.flatten() for task, values in network(*inputs).items() if task in "MTAV"}


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


def part(values: dict[str, Tensor], name: str) -> Tensor:
    """A tensor by its name; a third of it if the name ends with [i], its columns before or from i with [:i] or [i:]."""
    if not name.endswith("]"):
        return values[name]
    whole, _, place = name[:-1].partition("[")
    if ":" not in place:
        return values[whole].chunk(3)[int(place)]
    before, after = (int(number) if number else None for number in place.split(":"))
    return values[whole][:, before:after]


def sizes(dropouts: int, **others: object) -> dict:
    dimensions = {"feature_dims": [WIDTHS[name] for name in ORDER], "hidden_dims": [HIDDEN[name] for name in ORDER]}
    return {**dimensions, "dropouts": [0.0] * dropouts, **others}


def heads_of(*tasks: str) -> tuple[dict, dict]:
    """Heads as our configuration and MMSA's have them; MMSA always builds all three."""
    own = {
        "head_hidden": {task: HEADS[task][1] for task in tasks},
        "head_dropout": 0.0,
        "task_weights": dict.fromkeys(("M", *tasks), 1.0),
    }
    return own, {"post_dropouts": [0.0] * 4} | {f"post_{name}_dim": width for name, width in HEADS.values()}


BASE = {"hidden": HIDDEN, "text_out": OUT, "dropout": 0.0}
FUSED = {"fusion_hidden": FUSION, "fusion_dropout": 0.0}
OWN, THEIRS = heads_of("T", "A", "V")
OWN_TV, _ = heads_of("T", "V")
LOW_RANK = {"hidden": {**HIDDEN, "text": 2 * OUT}, "rank": RANK, "factor_learning_rate": 1e-3}
LOW_RANK_SIZES = {"hidden_dims": [2 * OUT, HIDDEN["audio"], HIDDEN["vision"]], "rank": RANK}
SHAPE = {"shapes": NETWORK, "drop": 0.0}
PARTS = ("attention", "update", "retain", "write", "output")
HEADS_OF_ATTENTION, WIDTH, VERTEX = 2, 8, 9
REFERENCES = {
    "ef_lstm": Reference(
        {"hidden": 6, "layers": 2, "dropout": 0.0, "alignment": "avg_pool"},
        "singleTask.EF_LSTM",
        {"feature_dims": [WIDTHS[name] for name in ORDER], "seq_lens": LENGTH}
        | {"hidden_dims": 6, "num_layers": 2, "dropout": 0.0},
        early_fusion, False, taken_out="norm",
    ),
    "mult": Reference(
        {"width": WIDTH, "heads": HEADS_OF_ATTENTION, "kernel": dict.fromkeys(MODALITIES, 1), "layers": 2, "memory_layers": 3}
        | {"attention_dropout": dict.fromkeys(MODALITIES, 0.0)}
        | {f"{what}_dropout": 0.0 for what in ("residual", "embedding", "text", "output")},
        "singleTask.MULT",
        {"feature_dims": [WIDTHS[name] for name in ORDER], "dst_feature_dim_nheads": (WIDTH, HEADS_OF_ATTENTION), "nlevels": 2}
        | {f"conv1d_kernel_size_{letter}": 1 for letter in "lav"}
        | {f"{what}_dropout": 0.0 for what in ("attn", "relu", "embed", "res", "output", "text")}
        | {"attn_dropout_a": 0.0, "attn_dropout_v": 0.0, "use_bert": False, "attn_mask": False},
        multimodal_transformer, False,
    ),
    "graph_mfn": Reference(
        {"hidden": HIDDEN, "memory": MEMORY, "alignment": "avg_pool", "vertex": VERTEX}
        | {f"{name}_{what}": value for name in PARTS[1:] for what, value in (("hidden", NETWORK), ("dropout", 0.0))},
        "singleTask.Graph_MFN",
        sizes(0, memsize=MEMORY, inner_node_dim=VERTEX, device="cpu")
        | {f"{name}Config": SHAPE for name in ("NN", "gamma1", "gamma2", "out")},
        graph, False,
    ),
    "lf_dnn": Reference(BASE | FUSED, "singleTask.LF_DNN", sizes(4, text_out=OUT, post_fusion_dim=FUSION), concatenation, True),
    "mlf_dnn": Reference(
        BASE | FUSED | OWN, "multiTask.MLF_DNN", sizes(3, text_out=OUT, post_fusion_dim=FUSION) | THEIRS,
        lambda: concatenation("T", "A", "V"), True,
    ),
    "tfn": Reference(BASE | FUSED, "singleTask.TFN", sizes(4, text_out=OUT, post_fusion_dim=FUSION), outer_product, True),
    "mtfn": Reference(
        BASE | FUSED | OWN_TV, "multiTask.MTFN", sizes(3, text_out=OUT, post_fusion_dim=FUSION) | THEIRS,
        lambda: outer_product("T", "V"), True,
    ),
    "lmf": Reference(BASE | LOW_RANK, "singleTask.LMF", sizes(4) | LOW_RANK_SIZES, low_rank, True),
    "mlmf": Reference(
        BASE | LOW_RANK | OWN, "multiTask.MLMF", sizes(3) | LOW_RANK_SIZES | THEIRS, lambda: low_rank("T", "A", "V"), True
    ),
    "mfn": Reference(
        {"hidden": HIDDEN, "memory": MEMORY, "alignment": "avg_pool"}
        | {f"{part}_{what}": value for part in PARTS for what, value in (("hidden", NETWORK), ("dropout", 0.0))},
        "singleTask.MFN",
        sizes(0, memsize=MEMORY, windowsize=2)
        | {f"{name}Config": SHAPE for name in ("NN1", "NN2", "gamma1", "gamma2", "out")},
        memory_fusion,
        False,
    ),
}  # fmt: skip


def loss_of(outputs: dict[str, Tensor], labels: dict[str, Tensor], tasks: list[str]) -> Tensor:
    """The sum of the mean absolute errors of the tasks."""
    return sum(F.l1_loss(outputs[task], labels[task]) for task in tasks)


def with_weights_of(system: System, network: nn.Module, weights: Weights) -> None:
    """Copy our weights into MMSA's network."""
    own, theirs = dict(system.named_parameters()), dict(network.named_parameters())
    with torch.no_grad():
        for name, other, change in weights:
            part(theirs, other).copy_(change(own[name]))
    assert {name for name, _, _ in weights} == set(own), set(own) ^ {name for name, _, _ in weights}
