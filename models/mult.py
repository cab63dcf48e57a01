"""MulT, Multimodal Transformer for unaligned sequences (Tsai et al., ACL 2019)."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import byte_dropout, last_step
from models.system import MODALITIES, Batch, Config, Sequences, System, require_modalities


@dataclass(frozen=True, kw_only=True)
class MulTConfig(Config):
    width: int  # of each modality behind its convolution
    heads: int
    kernel: dict[str, int]  # of the convolution of each modality; odd
    layers: int  # of the crossmodal transformers
    memory_layers: int  # of the self-attention transformers on top
    attention_dropout: dict[str, float]  # by the modality attended to; the memories take that of the text
    residual_dropout: float
    embedding_dropout: float
    text_dropout: float
    output_dropout: float

    def __post_init__(self):
        super().__post_init__()
        require_modalities("kernel", self.kernel)
        require_modalities("attention_dropout", self.attention_dropout)
        if any(kernel % 2 == 0 for kernel in self.kernel.values()):
            raise ValueError("key 'kernel': an even kernel shifts the sequence by half a frame; take an odd one")
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"key 'width': {self.width} is not an even multiple of the {self.heads} heads")


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

    def __init__(self, width: int, heads: int, attention_dropout: float, residual_dropout: float):
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, attention_dropout)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(residual_dropout)

    def forward(self, target: Tensor, source: Tensor, source_mask: Tensor) -> Tensor:
        """target [B, L, D], source [B, S, D], source_mask bool [B, S] -> [B, L, D]."""
        attended = self.attention(self.attention_norm(target), self.attention_norm(source), source_mask)
        target = target + self.dropout(attended)
        return target + self.dropout(self.feed_forward(target))


class Transformer(nn.Module):
    """Layers over embedded sequences, with a layer normalisation at the end."""

    def __init__(self, width: int, layers: int, attention_dropout: float, config: MulTConfig):
        super().__init__()
        self.layers = nn.ModuleList(
            TransformerLayer(width, config.heads, attention_dropout, config.residual_dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.embedding_dropout)

    def crossmodal(self, target: Sequences, source: Sequences) -> Sequences:
        """The target attends to the unchanged source at every layer (MulT, section 3.2): [B, L, D]."""
        states, keys = self.dropout(with_positions(target.values)), self.dropout(with_positions(source.values))
        for layer in self.layers:
            states = layer(states, keys, source.mask)
        return Sequences(self.norm(states), target.lengths)

    def memory(self, sequences: Sequences) -> Tensor:
        """The last true step behind self-attention: [B, D]. The last layer computes that step alone."""
        states, mask = self.dropout(with_positions(sequences.values)), sequences.mask
        for layer in self.layers[:-1]:
            states = layer(states, states, mask)
        last = last_step(states, sequences.lengths)[:, None]
        return self.norm(self.layers[-1](last, states, mask))[:, 0]


def with_positions(values: Tensor) -> Tensor:
    """values * sqrt(D) plus sinusoidal positions (MulT, section 3.2): [B, L, D] -> [B, L, D], D even."""
    length, width = values.shape[1:]
    frequency = torch.exp(torch.arange(0, width, 2, device=values.device) * (-math.log(10000.0) / width))
    angle = torch.arange(length, device=values.device)[:, None] * frequency
    return values * math.sqrt(width) + torch.cat([angle.sin(), angle.cos()], dim=1)


class MulT(System):
    """Six crossmodal transformers, a self-attention memory per target modality, their last true steps joined.

    Departures from the public code: padding is masked in convolution and attention and the last step is the last true
    one; the convolution keeps the length (zeros at both ends), so that clips of any length pass; attention looks both
    ways, as the paper has it (a mask of the future would depend on the padded lengths).
    """

    config_class = MulTConfig

    def __init__(self, config: MulTConfig, widths: dict[str, int], lengths: dict[str, int]):
        super().__init__(config, {"M": 1.0})
        width = config.width
        self.text_dropout = nn.Dropout(config.text_dropout)
        self.convolutions = nn.ModuleDict(
            {m: nn.Conv1d(widths[m], width, config.kernel[m], padding="same", bias=False) for m in MODALITIES}
        )
        self.crossmodal = nn.ModuleDict(
            {
                f"{target}_from_{source}": Transformer(width, config.layers, config.attention_dropout[source], config)
                for target in MODALITIES
                for source in MODALITIES
                if source != target
            }
        )
        self.memories = nn.ModuleDict(
            {m: Transformer(2 * width, config.memory_layers, config.attention_dropout["text"], config) for m in MODALITIES}
        )
        joined = 2 * width * len(MODALITIES)
        self.residual = nn.Sequential(
            nn.Linear(joined, joined), nn.ReLU(), nn.Dropout(config.output_dropout), nn.Linear(joined, joined)
        )
        self.output = nn.Linear(joined, 1)

    def _convolved(self, modality: str, sequences: Sequences) -> Sequences:
        frames = sequences.values.masked_fill(~sequences.mask[..., None], 0.0)
        if modality == "text":
            frames = self.text_dropout(frames)
        return Sequences(self.convolutions[modality](frames.transpose(1, 2)).transpose(1, 2), sequences.lengths)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        inputs = {modality: self._convolved(modality, batch[modality]) for modality in MODALITIES}
        ends = []
        for target in MODALITIES:
            seen = [
                self.crossmodal[f"{target}_from_{source}"].crossmodal(inputs[target], inputs[source]).values
                for source in MODALITIES
                if source != target
            ]
            ends.append(self.memories[target].memory(Sequences(torch.cat(seen, dim=2), batch[target].lengths)))
        joined = torch.cat(ends, dim=1)
        return {"M": self.output(joined + self.residual(joined)).flatten()}
