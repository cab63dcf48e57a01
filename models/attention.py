"""Attention over sequences whose padding is masked, as MulT (Tsai et al., ACL 2019) and the systems after it use it."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import byte_dropout


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al., 2017) that gives padded source frames no weight.

    A bias of the keys would cancel in the softmax, so they have none.
    """

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def forward(self, target: Tensor, source: Tensor, source_mask: Tensor) -> Tensor:
        def split(states: Tensor) -> Tensor:
            return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, heads, L, width / heads]

        query, key, value = split(self.query(target)), split(self.key(source)), split(self.value(source))
        if self.training and self.dropout:
            hidden = torch.zeros_like(source_mask, dtype=query.dtype).masked_fill(~source_mask, -torch.inf)[:, None, None]
            scores = (query / math.sqrt(query.shape[-1])) @ key.transpose(2, 3) + hidden
            attended = byte_dropout(scores.softmax(-1), self.dropout) @ value
        else:
            attended = F.scaled_dot_product_attention(query, key, value, attn_mask=source_mask[:, None, None])
        return self.output(attended.transpose(1, 2).flatten(2))


class TransformerLayer(nn.Module):
    """Attention and feed-forward block, each behind a layer normalisation and beside a residual (MulT, section 3.2)."""

    def __init__(
        self, width: int, heads: int, attention_dropout: float, residual_dropout: float, feed_forward: int | None = None
    ):
        super().__init__()
        inner = feed_forward or 4 * width
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, attention_dropout)
        self.feed_forward = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))
        self.dropout = nn.Dropout(residual_dropout)

    def forward(self, target: Tensor, source: Tensor, source_mask: Tensor) -> Tensor:
        """target [B, L, D], source [B, S, D], source_mask bool [B, S] -> [B, L, D]."""
        attended = self.attention(self.attention_norm(target), self.attention_norm(source), source_mask)
        target = target + self.dropout(attended)
        return target + self.dropout(self.feed_forward(target))


def positions(length: int, width: int, device: torch.device) -> Tensor:
    """Sinusoidal positions, sines before cosines: [length, width], width even."""
    frequency = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10000.0) / width))
    angle = torch.arange(length, device=device)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def with_positions(values: Tensor) -> Tensor:
    """values * sqrt(D) plus sinusoidal positions (MulT, section 3.2): [B, L, D] -> [B, L, D], D even."""
    return values * math.sqrt(values.shape[-1]) + positions(*values.shape[1:], values.device)
