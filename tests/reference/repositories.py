"""Systems beside their authors' repositories, which are no part of this one: a variable names the folder of each.

PS_MIXER_FOLDER: github.com/metaphysicser/PS-Mixer. ALMT_FOLDER: github.com/Haoyu-ha/ALMT; it needs `pip install einops`.
"""

import importlib
import importlib.util
import sys
import types
from argparse import Namespace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import positions
from models.system import MODALITIES
from tests.reference.mmsa import MMSAEncoder, with_token_ids
from tests.reference.mmsa_weights import BERT, NETWORK, by_direction, directions, linear, text_encoder
from tests.reference.rule import CLIPS, LENGTH, WIDTHS, frames, labels, small_bert, token_ids
from tests.reference.side_by_side import Reference, Weights, same, without_dropout

WIDTH, TOKENS, HEADS, HEAD_WIDTH, LEVELS = 8, 3, 2, 64, 3


def module_of(folder: Path, path: str) -> types.ModuleType:
    """A module of a repository, under a name of its own."""
    specification = importlib.util.spec_from_file_location(f"{folder.name}_{Path(path).stem}", folder / path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def ps_mixer(folder: Path) -> nn.Module:
    """PS-Mixer; its mixers have 64 hidden units."""
    code = module_of(folder, "new_models.py")
    code.BertConfig = types.SimpleNamespace(from_pretrained=lambda *arguments, **options: None)
    code.BertModel = types.SimpleNamespace(from_pretrained=lambda *arguments, **options: small_bert(BERT))
    sizes = {"embedding_size": BERT, "visual_size": WIDTHS["vision"], "acoustic_size": WIDTHS["audio"], "hidden_size": WIDTH}
    network = code.PS_Mixer(Namespace(**sizes, num_classes=1, dropout=0.0, activation=nn.ReLU, rnncell="lstm"))
    without_dropout(network)
    return network


def run_ps_mixer(network: nn.Module) -> dict[str, Tensor]:
    """Frames come first, and lengths in falling order."""
    ids, lengths = token_ids(), torch.full((CLIPS,), LENGTH)
    vision, audio = (frames()[name].transpose(0, 1) for name in ("vision", "audio"))
    return {"M": network(vision, audio, lengths, ids, torch.zeros_like(ids), torch.ones_like(ids)).flatten()}


def three_terms(folder: Path, network: nn.Module, outputs: dict[str, Tensor]) -> Tensor:
    """PS-Mixer's, with the weights of its command line."""
    sys.modules["audtorch.metrics.functional"] = types.SimpleNamespace(pearsonr=None)
    for name in ("audtorch", "audtorch.metrics"):
        sys.modules[name] = types.ModuleType(name)
    code = module_of(folder, "utils/functions.py")
    predicted, true = outputs["M"][:, None], labels()["M"][:, None]
    polar = code.cos_loss()(network.polar_vector, true, predicted)
    return F.mse_loss(predicted, true) + 0.1 * polar + 0.1 * code.corr_loss()(network.scale, true)


def mixer_weights() -> Weights:
    pairs = text_encoder("bertmodel", BERT) + linear("vectors.project.text.0", "project_t.project_t")
    for modality, letter in (("audio", "a"), ("vision", "v")):
        own = f"vectors.recurrent.{modality}"
        pairs += directions(f"{own}.first", f"{letter}rnn1") + directions(f"{own}.second", f"{letter}rnn2")
        pairs += linear(f"{own}.norm", f"{letter}layer_norm")
        pairs += linear(f"vectors.project.{modality}.0", f"project_{letter}.project_{letter}", by_direction)
    for modality in MODALITIES:
        letter = modality[0]
        pairs += linear(f"vectors.project.{modality}.2", f"project_{letter}.project_{letter}_layer_norm")
    for number, name in ((1, "polar"), (2, "strength")):
        pairs += linear(f"{name}_space.0", f"shared{number}.shared_{number}")
        mixers = (("across_modalities", "token_mixer.1"), ("across_entries", "channel_mixer.0"))
        for own, theirs in mixers:
            for layer in (0, 3):
                pairs += linear(f"{name}.{own}.0.{layer}", f"MLP_Communicator{number}.{theirs}.net.{layer}")
    layers = ((0, "fusion_layer_1"), (3, "fusion_layer_3"))
    return pairs + [(f"output.{own}.weight", f"fusion.{theirs}.weight", same) for own, theirs in layers]


def almt(folder: Path) -> nn.Module:
    """ALMT, with sinusoidal positions in the place of learned ones."""
    package = types.ModuleType("almt_reference")
    package.__path__ = [str(folder / "models")]
    sys.modules["almt_reference"] = package
    code = importlib.import_module("almt_reference.almt")
    code.BertTextEncoder = lambda **published: MMSAEncoder(NETWORK)
    widths = {"l_input_dim": NETWORK, "a_input_dim": WIDTHS["audio"], "v_input_dim": WIDTHS["vision"]}
    widths |= {f"{letter}_proj_dst_dim": WIDTH for letter in "lav"} | {f"{letter}_input_length": LENGTH for letter in "lav"}
    transformers = {"proj_input_dim": WIDTH, "proj_depth": 2, "proj_heads": HEADS, "proj_mlp_dim": 12}
    transformers |= {"l_enc_heads": HEADS, "l_enc_mlp_dim": 12, "AHL_depth": LEVELS, "ahl_heads": HEADS, "ahl_dim_head": 5}
    transformers |= {"ahl_droup": 0.0, "fusion_heads": HEADS, "fusion_mlp_dim": 12, "fusion_layer_depth": 2}
    tokens = {"token_len": TOKENS, "token_length": TOKENS, "token_dim": WIDTH, "bert_pretrained": ""}
    network = code.ALMT(Namespace(model=Namespace(**widths, **transformers, **tokens)))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "pos_embedding" in name:
                parameter.copy_(positions(*parameter.shape[1:], parameter.device))
    return network


def run_almt(network: nn.Module) -> dict[str, Tensor]:
    text, audio, vision = with_token_ids(frames())
    return {"M": network(vision, audio, text).flatten()}


def mean_square(folder: Path, network: nn.Module, outputs: dict[str, Tensor]) -> Tensor:
    return F.mse_loss(outputs["M"], labels()["M"])


def layer(own: str, theirs: str) -> Weights:
    """A layer of a transformer."""
    pairs = linear(f"{own}.output", f"{theirs}.0.fn.to_out.0") + linear(f"{own}.feed_forward.0", f"{theirs}.1.norm")
    pairs += linear(f"{own}.feed_forward.1", f"{theirs}.1.fn.net.0") + linear(f"{own}.feed_forward.3", f"{theirs}.1.fn.net.3")
    for name in ("query", "key", "value"):
        pairs += linear(f"{own}.norms.{name}", f"{theirs}.0.norm_{name[0]}")
        pairs.append((f"{own}.maps.{name}.weight", f"{theirs}.0.fn.to_{name[0]}.weight", same))
    return pairs


def hyper_modality() -> Weights:
    pairs = text_encoder("bertmodel.model", NETWORK) + linear("output.0", "regression_layer.0")
    pairs.append(("hyper_tokens", "h_hyper", lambda tokens: tokens[None]))
    pairs.append(("first_token", "fusion_layer.extra_token", lambda tokens: tokens[None]))
    for modality, letter in zip(MODALITIES, "lav", strict=True):
        own, theirs = f"condense.{modality}", f"proj_{letter}"
        pairs += linear(f"{own}.embed", f"{theirs}.0")
        pairs.append((f"{own}.tokens", f"{theirs}.1.extra_token", lambda tokens: tokens[None]))
        for i in (0, 1):
            pairs += layer(f"{own}.layers.{i}", f"{theirs}.1.encoder.layers.{i}")
    for i in range(LEVELS - 1):
        pairs += layer(f"text_layers.{i}", f"l_encoder.encoder.layers.{i}")
    for i in (0, 1):
        pairs += layer(f"fusion_layers.{i}", f"fusion_layer.CrossTransformerEncoder.layers.{i}")
    for i in range(LEVELS):
        own, theirs = f"hyper_updates.{i}", f"h_hyper_layer.layers.{i}.0"
        for number, name in enumerate((*MODALITIES, "hyper"), start=1):
            pairs += linear(f"{own}.norms.{name}", f"{theirs}.norm{number}")
        pairs += linear(f"{own}.output", f"{theirs}.fn.to_out.0")
        pairs.append((f"{own}.query.weight", f"{theirs}.fn.to_q.weight", same))
        for what, letter in (("keys", "k"), ("values", "v")):
            for modality in ("audio", "vision"):
                pairs.append((f"{own}.{what}.{modality}.weight", f"{theirs}.fn.to_{letter}_t{modality[0]}.weight", same))
    return pairs


REFERENCES = {
    "ps_mixer": Reference(
        {"hidden": {"audio": WIDTHS["audio"], "vision": WIDTHS["vision"]}, "width": WIDTH, "mixer_hidden": 64, "mixer_depth": 1}
        | {"mixer_dropout": 0.0, "output_dropout": 0.0, "polar_weight": 0.1, "strength_weight": 0.1},
        "PS-Mixer, commit 847a46b", "PS_MIXER_FOLDER", ps_mixer, run_ps_mixer, mixer_weights, own_loss=three_terms,
        text_width=BERT, tolerance=1e-3,  # its strength loss adds 1e-4 to a product of two norms, ours is the correlation
    ),
    "almt": Reference(
        {"width": WIDTH, "tokens": TOKENS, "heads": HEADS, "head_width": HEAD_WIDTH, "hyper_head_width": 5, "feed_forward": 12}
        | {"embedding_layers": 2, "levels": LEVELS, "fusion_layers": 2, "dropout": 0.0},
        "ALMT, commit da94610", "ALMT_FOLDER", almt, run_almt, hyper_modality, own_loss=mean_square, text_width=NETWORK,
    ),
}  # fmt: skip
