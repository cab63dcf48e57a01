"""MulT, Multimodal Transformer for unaligned sequences (Tsai et al., ACL 2019)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.attention import TransformerLayer, with_positions
from models.layers import convolve, last_step
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
        if modality == "text":
            sequences = Sequences(self.text_dropout(sequences.values), sequences.lengths)
        return Sequences(convolve(self.convolutions[modality], sequences), sequences.lengths)

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
