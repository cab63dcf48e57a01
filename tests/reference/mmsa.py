"""MMSA 2.2.1 beside our systems.

The reference is no part of this repository: MMSA_FOLDER names the unpacked wheel (`pip download --no-deps MMSA==2.2.1`, unzip).
"""

import importlib
import sys
import types
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.system import MODALITIES, TASKS
from tests.reference.mmsa_weights import (
    BERT,
    HEADS,
    HIDDEN,
    NETWORK,
    OUT,
    VERTEX,
    concatenation,
    early_fusion,
    gate_in_bert,
    graph,
    invariant_and_specific,
    low_rank,
    memory_fusion,
    multimodal_transformer,
    outer_product,
    self_supervised,
)  # fmt: skip
from tests.reference.rule import LENGTH, WIDTHS, frames, labels, small_bert, token_ids
from tests.reference.side_by_side import Reference, Weights, without_dropout

ORDER = ("text", "audio", "vision")  # in which MMSA takes its inputs
FUSION, RANK, MEMORY = 7, 3, 6
Inputs = Callable[[dict[str, Tensor]], list]


def frames_of(batch: dict[str, Tensor]) -> list[Tensor]:
    return [batch[name] for name in ORDER]


def means_of(batch: dict[str, Tensor]) -> list[Tensor]:
    """Audio and vision come as their mean."""
    return [batch[name].mean(1, keepdim=True) if name != "text" else batch[name] for name in ORDER]


def with_token_ids(batch: dict[str, Tensor]) -> list[Tensor]:
    """The text comes as ids, mask and segments."""
    ids = token_ids()
    return [torch.stack([ids, torch.ones_like(ids), torch.zeros_like(ids)], dim=1).float(), batch["audio"], batch["vision"]]


def with_lengths(batch: dict[str, Tensor]) -> list:
    text, *others = with_token_ids(batch)
    return [text, *((values, torch.full((len(values),), LENGTH)) for values in others)]


class MMSAEncoder(nn.Module):
    """In the place of MMSA's encoder, which loads published weights."""

    def __init__(self, width: int):
        super().__init__()
        self.model = small_bert(width)

    def forward(self, text: Tensor) -> Tensor:
        ids, mask, segments = text.long().unbind(1)
        return self.model(input_ids=ids, attention_mask=mask.float(), token_type_ids=segments)[0]


class MAGNetwork:
    """In the place of a class of MMSA that loads published weights, and relies on what `transformers` no longer does."""

    def __init__(self, published: type):
        self.published = published
        inner = sys.modules[published.__module__].MAG_BertModel
        inner.get_head_mask = lambda network, *arguments: None
        inner.get_extended_attention_mask = lambda network, mask, *arguments: (1 - mask)[:, None, None] * torch.finfo().min
        inner.init_weights = published.init_weights = lambda network: None  # ours are copied over them

    def from_pretrained(self, path: str, args: Namespace, num_labels: int) -> nn.Module:
        config = small_bert(NETWORK).config
        config.num_labels = num_labels
        return self.published(config, args)


def mmsa(
    values: dict, module: str, arguments: dict, weights: Callable[[], Weights], inputs: Inputs,
    made_equal: Callable[[nn.Module], None] = lambda network: None, text_width: int = 0, **others: object,
) -> Reference:  # fmt: skip
    """A system of MMSA: its module, the arguments of its network, and the form of its inputs.

    made_equal : changes a part of MMSA's network that ours has not; why stands in docs/public_code.md.
    """

    def build_network(folder: Path) -> nn.Module:
        network = build(folder, module, arguments, text_width)
        with torch.no_grad():
            made_equal(network)
        return network

    def run(network: nn.Module) -> dict[str, Tensor]:
        return {task: values.flatten() for task, values in network(*inputs(frames())).items() if task in TASKS}

    return Reference(values, "MMSA 2.2.1", "MMSA_FOLDER", build_network, run, weights, text_width=text_width, **others)


def build(folder: Path, module: str, arguments: dict, text_width: int) -> nn.Module:
    """A network of MMSA; the parts of the package that need its other requirements are passed over."""
    for name in ("MMSA", "MMSA.models", "MMSA.models.singleTask", "MMSA.models.multiTask"):
        package = types.ModuleType(name)
        package.__path__ = [str(folder / name.replace(".", "/"))]
        sys.modules[name] = package
    of_system = importlib.import_module(f"MMSA.models.{module}")
    of_system.BertTextEncoder = lambda **published: MMSAEncoder(text_width)
    if hasattr(of_system, "MAG_BertForSequenceClassification"):
        of_system.MAG_BertForSequenceClassification = MAGNetwork(of_system.MAG_BertForSequenceClassification)
    network = getattr(of_system, module.split(".")[1])(Namespace(train_mode="regression", **arguments))
    for module in network.children():  # the graph keeps its networks in a plain dict, which torch does not look into
        for key, inner in getattr(module, "networks", {}).items():
            module.add_module("networks_" + "_".join(ORDER[i] for i in key), inner)
    return network


def without_second_layers(network: nn.Module) -> None:
    """A hidden layer in each head: as the identity, behind a ReLU, it changes nothing."""
    for name in ("fusion", "text", "audio", "video"):
        layer = getattr(network, f"post_{name}_layer_2")
        layer.weight.copy_(torch.eye(len(layer.weight)))
        layer.bias.zero_()


def without_gated_biases(network: nn.Module) -> None:
    """The paper adds one bias to the displacement (equation 3); the public code has one in each term, behind its gate."""
    for layer in (network.model.bert.MAG.W_a, network.model.bert.MAG.W_v):
        layer.bias.zero_()


def four_terms(folder: Path, network: nn.Module, outputs: dict[str, Tensor]) -> Tensor:
    """MISA's, as its trainer adds them up, with all weights 1."""
    trainer = trainer_of(folder, "singleTask.MISA")
    with_terms = types.SimpleNamespace(
        args=Namespace(use_cmd_sim=True), model=types.SimpleNamespace(Model=network),
        loss_cmd=trainer.CMD(), loss_diff=trainer.DiffLoss(), loss_recon=trainer.MSE(),
    )  # fmt: skip
    terms = [getattr(trainer.MISA, f"get_{term}_loss")(with_terms) for term in ("cmd", "diff", "recon")]
    return F.mse_loss(outputs["M"], labels()["M"]) + sum(terms)


def trainer_of(folder: Path, module: str) -> types.ModuleType:
    """A trainer of MMSA, without the parts of the package that need its other requirements."""
    for name in ("MMSA", "MMSA.trains", "MMSA.trains.singleTask", "MMSA.trains.multiTask"):
        package = types.ModuleType(name)
        package.__path__ = [str(folder / name.replace(".", "/"))]
        sys.modules[name] = package
    sys.modules["MMSA.utils"] = types.SimpleNamespace(MetricsTop=None, dict_to_str=None)
    return importlib.import_module(f"MMSA.trains.{module}")


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
HEADS_OF_ATTENTION, WIDTH = 2, 8
REFERENCES = {
    "misa": mmsa(
        {"hidden": {"audio": WIDTHS["audio"], "vision": WIDTHS["vision"]}, "width": WIDTH, "heads": 2, "feed_forward": 2048}
        | {"transformer_dropout": 0.0, "output_dropout": 0.0}
        | {f"{term}_weight": 1.0 for term in ("similarity", "difference", "reconstruction")},
        "singleTask.MISA",
        {"feature_dims": [WIDTHS[name] for name in ORDER], "hidden_size": WIDTH, "dropout": 0.0, "rnncell": "lstm"}
        | {"use_bert": True, "use_finetune": True, "transformers": "bert", "pretrained": "", "use_cmd_sim": True},
        invariant_and_specific, with_token_ids, made_equal=without_dropout, own_loss=four_terms, text_width=BERT,
    ),
    "self_mm": mmsa(
        {"hidden": {"audio": 3, "vision": 4}, "out": {"audio": 5, "vision": 6}}
        | {"lstm_dropout": {"audio": 0.0, "vision": 0.0}, "features": {"M": 9, "T": 6, "A": 4, "V": 5}}
        | {"feature_dropout": dict.fromkeys(TASKS, 0.0)}
        | {f"subnet_{what}": {"audio": 0.0, "vision": 0.0} for what in ("learning_rate", "weight_decay")},
        "multiTask.SELF_MM",
        {"feature_dims": [WIDTHS[name] for name in ORDER], "need_data_aligned": False, "use_finetune": True}
        | {"transformers": "bert", "pretrained": "", "text_out": NETWORK, "audio_out": 5, "video_out": 6}
        | {"a_lstm_hidden_size": 3, "v_lstm_hidden_size": 4, "a_lstm_layers": 1, "v_lstm_layers": 1}
        | {"a_lstm_dropout": 0.0, "v_lstm_dropout": 0.0}
        | {f"post_{name}_dropout": 0.0 for name in ("fusion", "text", "audio", "video")}
        | {"post_fusion_dim": 9, "post_text_dim": 6, "post_audio_dim": 4, "post_video_dim": 5},
        self_supervised, with_lengths, made_equal=without_second_layers, text_width=NETWORK,
    ),
    "mag_bert": mmsa(
        {"beta": 0.7, "gate_dropout": 0.0, "output_dropout": 0.0, "alignment": "avg_pool"},
        "singleTask.BERT_MAG",
        {"feature_dims": [NETWORK, WIDTHS["audio"], WIDTHS["vision"]], "beta_shift": 0.7, "dropout_prob": 0.0}
        | {"language": "cn", "device": "cpu"},
        gate_in_bert, with_token_ids, made_equal=without_gated_biases, zero=("gate.bias",), text_width=NETWORK,
    ),
    "ef_lstm": mmsa(
        {"hidden": 6, "layers": 2, "dropout": 0.0, "alignment": "avg_pool"},
        "singleTask.EF_LSTM",
        {"feature_dims": [WIDTHS[name] for name in ORDER], "seq_lens": LENGTH}
        | {"hidden_dims": 6, "num_layers": 2, "dropout": 0.0},
        early_fusion, frames_of, made_equal=lambda network: setattr(network, "norm", nn.Identity()),
    ),
    "mult": mmsa(
        {"width": WIDTH, "heads": HEADS_OF_ATTENTION, "kernel": dict.fromkeys(MODALITIES, 1), "layers": 2, "memory_layers": 3}
        | {"attention_dropout": dict.fromkeys(MODALITIES, 0.0)}
        | {f"{what}_dropout": 0.0 for what in ("residual", "embedding", "text", "output")},
        "singleTask.MULT",
        {"feature_dims": [WIDTHS[name] for name in ORDER], "dst_feature_dim_nheads": (WIDTH, HEADS_OF_ATTENTION), "nlevels": 2}
        | {f"conv1d_kernel_size_{letter}": 1 for letter in "lav"}
        | {f"{what}_dropout": 0.0 for what in ("attn", "relu", "embed", "res", "output", "text")}
        | {"attn_dropout_a": 0.0, "attn_dropout_v": 0.0, "use_bert": False, "attn_mask": False},
        multimodal_transformer, frames_of,
    ),
    "graph_mfn": mmsa(
        {"hidden": HIDDEN, "memory": MEMORY, "alignment": "avg_pool", "vertex": VERTEX}
        | {f"{name}_{what}": value for name in PARTS[1:] for what, value in (("hidden", NETWORK), ("dropout", 0.0))},
        "singleTask.Graph_MFN",
        sizes(0, memsize=MEMORY, inner_node_dim=VERTEX, device="cpu")
        | {f"{name}Config": SHAPE for name in ("NN", "gamma1", "gamma2", "out")},
        graph, frames_of,
    ),
    "lf_dnn": mmsa(
        BASE | FUSED, "singleTask.LF_DNN", sizes(4, text_out=OUT, post_fusion_dim=FUSION), concatenation, means_of
    ),
    "mlf_dnn": mmsa(
        BASE | FUSED | OWN, "multiTask.MLF_DNN", sizes(3, text_out=OUT, post_fusion_dim=FUSION) | THEIRS,
        lambda: concatenation("T", "A", "V"), means_of,
    ),
    "tfn": mmsa(BASE | FUSED, "singleTask.TFN", sizes(4, text_out=OUT, post_fusion_dim=FUSION), outer_product, means_of),
    "mtfn": mmsa(
        BASE | FUSED | OWN_TV, "multiTask.MTFN", sizes(3, text_out=OUT, post_fusion_dim=FUSION) | THEIRS,
        lambda: outer_product("T", "V"), means_of,
    ),
    "lmf": mmsa(BASE | LOW_RANK, "singleTask.LMF", sizes(4) | LOW_RANK_SIZES, low_rank, means_of),
    "mlmf": mmsa(
        BASE | LOW_RANK | OWN, "multiTask.MLMF", sizes(3) | LOW_RANK_SIZES | THEIRS, lambda: low_rank("T", "A", "V"), means_of
    ),
    "mfn": mmsa(
        {"hidden": HIDDEN, "memory": MEMORY, "alignment": "avg_pool"}
        | {f"{part}_{what}": value for part in PARTS for what, value in (("hidden", NETWORK), ("dropout", 0.0))},
        "singleTask.MFN",
        sizes(0, memsize=MEMORY, windowsize=2)
        | {f"{name}Config": SHAPE for name in ("NN1", "NN2", "gamma1", "gamma2", "out")},
        memory_fusion, frames_of,
    ),
}  # fmt: skip
