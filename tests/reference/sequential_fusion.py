"""SFTTR's sequential fusion in both codes, on decomposed vectors by rule.

SFTTR_FOLDER: github.com/Mi7914/SFTTR.
"""

import sys
import types
from pathlib import Path

import torch
from torch import Tensor, nn

from models.sfttr import CrossModalityEncoder
from tests.reference.repositories import module_of
from tests.reference.rule import fill

CLIPS, WIDTH, HEADS, LAYERS, FEED_FORWARD = 4, 8, 2, 2, 12
STEPS = {"vision_audio": ("va_cross", 2), "all_far": ("vat_cross", 3), "all": ("pc_cross", 4)}  # and how many tokens each has


class Ours(nn.Module):
    """The part of SFTTR between its decomposed vectors and its classifier."""

    def __init__(self):
        super().__init__()
        sizes = {"fusion_layers": LAYERS, "fusion_heads": HEADS, "fusion_feed_forward": FEED_FORWARD, "fusion_dropout": 0.0}
        config = types.SimpleNamespace(width=WIDTH, **sizes)
        for name, (_, tokens) in STEPS.items():
            self.add_module(name, CrossModalityEncoder(tokens, config))
        fill(self)

    def forward(self, close: Tensor, far: Tensor) -> Tensor:
        text, vision, audio = far.split(1, dim=1)
        return self.all(self.all_far(text, self.vision_audio(audio, vision)), close.sum(1, keepdim=True)).mean(1)


def vectors() -> tuple[Tensor, Tensor]:
    """C_m and F_m, of text, vision and audio, each [CLIPS, 3, WIDTH], with room for a gradient."""
    random = torch.Generator().manual_seed(7)
    close, far = (torch.randn(CLIPS, 3, WIDTH, generator=random).requires_grad_() for _ in range(2))
    return close, far


def judged(fused: Tensor, close: Tensor, far: Tensor) -> dict:
    """What is compared: the fused vectors, and the gradients of some function of them."""
    (fused * torch.linspace(-1, 1, fused.numel()).view_as(fused)).sum().backward()
    return {"fused": fused.flatten().tolist(), "close": close.grad.flatten().tolist(), "far": far.grad.flatten().tolist()}


def fusion_of_ours() -> dict:
    close, far = vectors()
    return judged(Ours()(close, far), close, far)


def fusion_of_sfttr(folder: Path) -> dict:
    """The same by the public code, with our weights."""
    values = {
        "hidden_size": WIDTH, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS, "intermediate_size": FEED_FORWARD,
        "max_position_embeddings": 9, "type_vocab_size": 2, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
        "hidden_act": "gelu",
    }  # fmt: skip
    config = types.SimpleNamespace(SIMS=types.SimpleNamespace(downStream=types.SimpleNamespace(**values)))
    sys.modules["config"] = config
    code = module_of(folder, "SFTTR/SIMS/util/CrossModal.py")
    own = Ours()
    steps = {theirs: with_weights(code.CrossModel(config), getattr(own, name)) for name, (theirs, _) in STEPS.items()}

    def step(name: str, first: Tensor, second: Tensor) -> Tensor:
        sides = torch.cat([torch.zeros(first.shape[:2]), torch.ones(second.shape[:2])], dim=1)
        return steps[name](torch.cat([first, second], dim=1), sides, torch.ones_like(sides))[-1]

    close, far = vectors()
    text, vision, audio = far.split(1, dim=1)
    far_of_all = step("vat_cross", text, step("va_cross", audio, vision))
    return judged(step("pc_cross", far_of_all, close.sum(1, keepdim=True)).mean(1), close, far)


def with_weights(theirs: nn.Module, own: CrossModalityEncoder) -> nn.Module:
    with torch.no_grad():
        theirs.embeddings.position_embeddings.weight[: len(own.position)] = own.position
        theirs.embeddings.token_type_embeddings.weight.copy_(own.side)
        copy(theirs.embeddings.LayerNorm, own.norm)
        for layer, ours in zip(theirs.encoder.layer, own.layers.layers, strict=True):
            parts = zip(ours.self_attn.in_proj_weight.chunk(3), ours.self_attn.in_proj_bias.chunk(3), strict=True)
            for name, (weight, bias) in zip(("query", "key", "value"), parts, strict=True):
                getattr(layer.attention.self, name).weight.copy_(weight)
                getattr(layer.attention.self, name).bias.copy_(bias)
            copy(layer.attention.output.dense, ours.self_attn.out_proj)
            copy(layer.attention.output.LayerNorm, ours.norm1)
            copy(layer.intermediate.dense, ours.linear1)
            copy(layer.output.dense, ours.linear2)
            copy(layer.output.LayerNorm, ours.norm2)
    return theirs


def copy(theirs: nn.Module, ours: nn.Module) -> None:
    theirs.weight.copy_(ours.weight)
    theirs.bias.copy_(ours.bias)
