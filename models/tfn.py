"""TFN, Tensor Fusion Network (Zadeh et al., EMNLP 2017), and its multi-task form MTFN (CH-SIMS, ACL 2020)."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.late_fusion import LateFusion, LateFusionConfig
from models.layers import LEVELS, random_bytes, with_one

ROWS = 4  # text entries of the fusion tensor that are computed at once: so many of a batch stay in the processor's cache


@dataclass(frozen=True, kw_only=True)
class TFNConfig(LateFusionConfig):
    fusion_hidden: int
    fusion_dropout: float


class TensorLinear(nn.Linear):
    """Dropout and a linear layer on the fusion tensor [1; t] x [1; a] x [1; v] (TFN, section 4.2), never held as a whole.

    The tensor of a CH-SIMS batch has 35 million entries. They are computed by blocks, in the backward pass once more, and
    only the random bytes of the dropout are kept: a third of the time of dropout and linear layer on the whole tensor.

    Parameters
    ----------
    widths : list of int
        D_t, D_a, D_v.
    out : int
    dropout : float
        Rounded to a multiple of 1 / 256.
    """

    def __init__(self, widths: list[int], out: int, dropout: float):
        text, audio, vision = (width + 1 for width in widths)
        super().__init__(text * audio * vision, out)
        self.dropped = round(dropout * LEVELS)

    def forward(self, text: Tensor, audio: Tensor, vision: Tensor) -> Tensor:
        """[B, D_t], [B, D_a], [B, D_v] -> [B, out]."""
        text, audio, vision = (with_one(representation).to(self.weight.dtype) for representation in (text, audio, vision))
        rest = (audio[:, :, None] * vision[:, None]).flatten(1)
        dropped = self.dropped if self.training else 0
        product = _TensorLinear.apply if text.is_cpu else whole_product  # a GPU has memory, and waits for many small blocks
        return product(text, rest, self.weight, dropped) + self.bias


def whole_product(text: Tensor, rest: Tensor, weight: Tensor, dropped: int) -> Tensor:
    """What `_TensorLinear` computes, with the fusion tensor held as a whole."""
    tensor = text[:, :, None] * rest[:, None]
    if dropped:
        noise = random_bytes(tensor.shape, tensor.device)
        tensor = tensor.masked_fill(noise < dropped, 0)
    return tensor.flatten(1) @ weight.T * _scale(dropped)


class _TensorLinear(torch.autograd.Function):
    """Product of the weight with the flat outer product of `text` [B, T] and `rest` [B, R]: [B, out]."""

    @staticmethod
    def forward(ctx, text: Tensor, rest: Tensor, weight: Tensor, dropped: int) -> Tensor:
        noise = random_bytes((*text.shape, rest.shape[1]), text.device) if dropped else None
        ctx.save_for_backward(text, rest, weight, noise)
        ctx.dropped = dropped
        sums = text.new_zeros(len(text), len(weight))
        for _, columns, block, _ in _blocks(text, rest, noise, dropped):
            sums += block @ weight[:, columns].T
        return sums * _scale(dropped)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        text, rest, weight, noise = ctx.saved_tensors
        gradient = gradient * _scale(ctx.dropped)
        text_gradient, rest_gradient = torch.empty_like(text), torch.zeros_like(rest)
        weight_gradient = torch.empty_like(weight)
        for rows, columns, block, kept in _blocks(text, rest, noise, ctx.dropped):
            torch.mm(gradient.T, block, out=weight_gradient[:, columns])
            block_gradient = torch.mm(gradient, weight[:, columns], out=block)
            if ctx.dropped:
                block_gradient *= kept
            block_gradient = block_gradient.unflatten(1, (-1, rest.shape[1]))
            rest_gradient += (text[:, None, rows] @ block_gradient)[:, 0]
            text_gradient[:, rows] = block_gradient.mul_(rest[:, None]).sum(-1)
        return text_gradient, rest_gradient, weight_gradient, None


def _blocks(text: Tensor, rest: Tensor, noise: Tensor | None, dropped: int) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
    """The outer product of some text entries after the other: entries, their columns of the weight, product, entries kept.

    Each block is written over the one before: fresh memory would cost more time than the arithmetic.
    """
    batch, width = rest.shape
    memory, kept_memory = text.new_empty(2, batch * ROWS * width)
    for start in range(0, text.shape[1], ROWS):
        some = text[:, start : start + ROWS]
        count = some.shape[1]
        block, kept = (part[: batch * count * width].view(batch, count, width) for part in (memory, kept_memory))
        torch.mul(some[:, :, None], rest[:, None], out=block)
        if dropped:
            kept.copy_(noise[:, start : start + count]).ge_(dropped)
            block *= kept
        columns = slice(start * width, (start + count) * width)
        yield slice(start, start + count), columns, block.flatten(1), kept.flatten(1)


def _scale(dropped: int) -> float:
    """What keeps the mean of the entries as it is without dropout."""
    return LEVELS / (LEVELS - dropped)


class TFN(LateFusion):
    """Three-layer network on the outer product of the representations.

    The output is squashed to the range of the labels by a sigmoid, as in TFN, section 4.3.
    """

    config_class = TFNConfig

    def __init__(self, config: TFNConfig, widths: dict[str, int], lengths: dict[str, int]):
        super().__init__(config, widths, lengths)
        hidden = config.fusion_hidden
        self.tensor = TensorLinear(list(self.representation_widths.values()), hidden, config.fusion_dropout)
        self.fusion = nn.Sequential(nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1), nn.Flatten(0))

    def fuse(self, representations: dict[str, Tensor]) -> Tensor:
        low, high = self.label_range
        return (high - low) * torch.sigmoid(self.fusion(self.tensor(**representations))) + low
