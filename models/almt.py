"""ALMT, learning language-guided adaptive hyper-modality representation (Zhang et al., EMNLP 2023).

Every modality is condensed to a few tokens; the text, at three levels of depth, picks from audio and vision what goes into
a hyper-modality; a cross transformer lets the text attend to that.

As in the public code where the paper is silent: heads as wide as the configuration says, no biases before an attention, a
normalisation each for queries, keys and values, and the hyper-modality normalised before it is added to. Departures from it:
padded frames get no attention; positions are sinusoidal, not learned, so that a clip of any length passes.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import positions
from models.system import MODALITIES, Batch, Sequences, System
from models.text_encoder import FineTuningConfig, TextEncoder, fine_tuning_groups


@dataclass(frozen=True, kw_only=True)
class ALMTConfig(FineTuningConfig):
    width: int  # of all tokens
    tokens: int  # that a modality is condensed to, and of the hyper-modality
    heads: int
    head_width: int  # in the transformers
    hyper_head_width: int  # where the text looks at audio and vision
    feed_forward: int
    embedding_layers: int  # of the transformer that condenses a modality
    levels: int  # of text depth, each with one update of the hyper-modality
    fusion_layers: int  # of the cross transformer
    dropout: float

    def __post_init__(self):
        super().__post_init__()
        if self.width % 2:
            raise ValueError(f"key 'width': {self.width} is odd, which sinusoidal positions cannot be")


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Multi-head attention (Vaswani et al., 2017) of [B, L, H] to [B, S, H] where mask, bool [B, S]: [B, L, H]."""
    query, key, value = (states.unflatten(-1, (heads, -1)).transpose(1, 2) for states in (query, key, value))
    attended = F.scaled_dot_product_attention(query, key, value, attn_mask=None if mask is None else mask[:, None, None])
    return attended.transpose(1, 2).flatten(2)


class Layer(nn.Module):
    """Attention and feed-forward block, each behind a layer normalisation and beside a residual."""

    def __init__(self, config: ALMTConfig):
        super().__init__()
        width, inner = config.width, config.heads * config.head_width
        self.heads = config.heads
        self.norms = nn.ModuleDict({name: nn.LayerNorm(width) for name in ("query", "key", "value")})
        self.maps = nn.ModuleDict({name: nn.Linear(width, inner, bias=False) for name in ("query", "key", "value")})
        self.output = nn.Linear(inner, width)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, config.feed_forward), nn.GELU(), nn.Linear(config.feed_forward, width)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, target: Tensor, source: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """target [B, L, width] attends to source [B, S, width] where source_mask, bool [B, S]: [B, L, width]."""
        states = {"query": target, "key": source, "value": source}
        query, key, value = (self.maps[name](self.norms[name](values)) for name, values in states.items())
        target = target + self.dropout(self.output(attend(query, key, value, self.heads, source_mask)))
        return target + self.dropout(self.feed_forward(target))


class Condense(nn.Module):
    """Learned tokens before the frames of a modality; behind the transformer only they are kept (section 3.3).

    [B, L, width of a frame] -> [B, tokens, width]
    """

    def __init__(self, frame_width: int, config: ALMTConfig):
        super().__init__()
        self.embed = nn.Linear(frame_width, config.width)
        self.tokens = nn.Parameter(torch.zeros(config.tokens, config.width))
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.embedding_layers))

    def forward(self, frames: Sequences) -> Tensor:
        values = self.embed(frames.values.masked_fill(~frames.mask[..., None], 0.0))
        states = placed(torch.cat([self.tokens.expand(len(values), -1, -1), values], dim=1))
        first, count = states.new_ones(len(values), len(self.tokens), dtype=torch.bool), len(self.tokens)
        mask = torch.cat([first, frames.mask], dim=1)
        for layer in self.layers[:-1]:
            states = layer(states, states, mask)
        return self.layers[-1](states[:, :count], states, mask)  # the last layer at the tokens alone


class HyperUpdate(nn.Module):
    """What the text of one level finds in audio and vision, added to the hyper-modality (section 3.4): [B, tokens, width]."""

    def __init__(self, config: ALMTConfig):
        super().__init__()
        width, inner = config.width, config.heads * config.hyper_head_width
        self.heads = config.heads
        self.norms = nn.ModuleDict({name: nn.LayerNorm(width) for name in (*MODALITIES, "hyper")})
        self.query = nn.Linear(width, inner, bias=False)
        self.keys = nn.ModuleDict({name: nn.Linear(width, inner, bias=False) for name in ("audio", "vision")})
        self.values = nn.ModuleDict({name: nn.Linear(width, inner, bias=False) for name in ("audio", "vision")})
        self.output = nn.Linear(inner, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hyper: Tensor, text: Tensor, others: dict[str, Tensor]) -> Tensor:
        query, found = self.query(self.norms["text"](text)), 0.0
        for name, states in others.items():
            states = self.norms[name](states)
            found = found + attend(query, self.keys[name](states), self.values[name](states), self.heads)
        return self.norms["hyper"](hyper) + self.dropout(self.output(found))


class ALMT(System):
    """Hyper-modality learned under the guidance of the text."""

    config_class = ALMTConfig
    reads_tokens = True
    squared_error = True

    def __init__(self, config: ALMTConfig, widths: dict[str, int], lengths: dict[str, int], encoder: TextEncoder):
        super().__init__(config, {"M": 1.0})
        self.encoder = encoder
        self.condense = nn.ModuleDict({m: Condense({**widths, "text": encoder.width}[m], config) for m in MODALITIES})
        self.text_layers = nn.ModuleList(Layer(config) for _ in range(config.levels - 1))
        self.hyper_tokens = nn.Parameter(torch.ones(config.tokens, config.width))
        self.hyper_updates = nn.ModuleList(HyperUpdate(config) for _ in range(config.levels))
        # One more token before the text and before the hyper-modality; the text's is read out.
        self.first_token = nn.Parameter(torch.zeros(1, config.width))
        self.fusion_layers = nn.ModuleList(Layer(config) for _ in range(config.fusion_layers))
        self.output = nn.Sequential(nn.Linear(config.width, 1), nn.Flatten(0))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        text = placed(self.condense["text"](self.encoder(batch["tokens"])))
        others = {modality: self.condense[modality](batch[modality]) for modality in ("audio", "vision")}
        hyper = self.hyper_updates[0](self.hyper_tokens.expand(len(text), -1, -1), text, others)
        for layer, update in zip(self.text_layers, self.hyper_updates[1:], strict=True):
            text = layer(text, text)
            hyper = update(hyper, text, others)
        first = self.first_token.expand(len(text), -1, -1)
        target, source = (placed(torch.cat([first, states], dim=1)) for states in (text, hyper))
        for layer in self.fusion_layers:
            target = layer(target, source)
        return {"M": self.output(target[:, 0])}

    def parameter_groups(self) -> list[dict]:
        return fine_tuning_groups(self, self.config)


def placed(states: Tensor) -> Tensor:
    """States plus their positions: [B, L, D] -> [B, L, D]."""
    return states + positions(*states.shape[1:], states.device)
