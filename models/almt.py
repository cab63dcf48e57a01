"""ALMT, learning language-guided adaptive hyper-modality representation (Zhang et al., EMNLP 2023).

Every modality is condensed to a few tokens; the text, at three levels of depth, picks from audio and vision what goes into
a hyper-modality; a cross transformer lets the text attend to that.

Departures from the public code: padded frames get no attention; positions are sinusoidal, so that a clip of any length
passes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.attention import Attention, with_positions
from models.system import MODALITIES, Batch, Sequences, System
from models.text_encoder import FineTuningConfig, TextEncoder, fine_tuning_groups


@dataclass(frozen=True, kw_only=True)
class ALMTConfig(FineTuningConfig):
    width: int  # of all tokens
    tokens: int  # that a modality is condensed to, and of the hyper-modality
    heads: int
    feed_forward: int
    embedding_layers: int  # of the transformer that condenses a modality
    levels: int  # of text depth, each with one update of the hyper-modality
    fusion_layers: int  # of the cross transformer
    dropout: float

    def __post_init__(self):
        super().__post_init__()
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"key 'width': {self.width} is not an even multiple of the {self.heads} heads")


class Layer(nn.Module):
    """Attention and feed-forward block, each behind a layer normalisation and beside a residual."""

    def __init__(self, config: ALMTConfig):
        super().__init__()
        width = config.width
        self.target_norm, self.source_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, config.heads, config.dropout)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, config.feed_forward), nn.GELU(), nn.Linear(config.feed_forward, width)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, target: Tensor, source: Tensor, source_mask: Tensor) -> Tensor:
        """target [B, L, width] attends to source [B, S, width] where source_mask, bool [B, S]: [B, L, width]."""
        target = target + self.dropout(self.attention(self.target_norm(target), self.source_norm(source), source_mask))
        return target + self.dropout(self.feed_forward(target))


class Condense(nn.Module):
    """Learned tokens before the frames of a modality; behind the transformer only they are kept (section 3.3).

    [B, L, width of a frame] -> [B, tokens, width]
    """

    def __init__(self, frame_width: int, config: ALMTConfig):
        super().__init__()
        self.embed = nn.Linear(frame_width, config.width)
        self.tokens = nn.Parameter(0.02 * torch.randn(config.tokens, config.width))
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.embedding_layers))

    def forward(self, frames: Sequences) -> Tensor:
        values = self.embed(frames.values.masked_fill(~frames.mask[..., None], 0.0))
        tokens = self.tokens.expand(len(values), -1, -1)
        states = with_positions(torch.cat([tokens, values], dim=1))
        mask = torch.cat([all_true(tokens), frames.mask], dim=1)
        for layer in self.layers[:-1]:
            states = layer(states, states, mask)
        return self.layers[-1](states[:, : tokens.shape[1]], states, mask)  # the last layer at the tokens alone


class HyperUpdate(nn.Module):
    """What the text of one level finds in audio and vision (section 3.4): [B, tokens, width] each -> the same."""

    def __init__(self, config: ALMTConfig):
        super().__init__()
        self.norms = nn.ModuleDict({modality: nn.LayerNorm(config.width) for modality in MODALITIES})
        self.attention = nn.ModuleDict(
            {modality: Attention(config.width, config.heads, config.dropout) for modality in ("audio", "vision")}
        )

    def forward(self, text: Tensor, audio: Tensor, vision: Tensor) -> Tensor:
        query = self.norms["text"](text)
        from_audio = self.attention["audio"](query, self.norms["audio"](audio), all_true(audio))
        return from_audio + self.attention["vision"](query, self.norms["vision"](vision), all_true(vision))


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
        self.hyper_tokens = nn.Parameter(0.02 * torch.randn(config.tokens, config.width))
        self.hyper_updates = nn.ModuleList(HyperUpdate(config) for _ in range(config.levels))
        # One more token each before the text and before the hyper-modality; the text's is read out.
        self.text_token = nn.Parameter(0.02 * torch.randn(1, config.width))
        self.hyper_token = nn.Parameter(0.02 * torch.randn(1, config.width))
        self.fusion_layers = nn.ModuleList(Layer(config) for _ in range(config.fusion_layers))
        self.output = nn.Sequential(nn.Linear(config.width, 1), nn.Flatten(0))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        text = self.condense["text"](self.encoder(batch["tokens"]))
        audio, vision = (self.condense[modality](batch[modality]) for modality in ("audio", "vision"))
        hyper = self.hyper_tokens + self.hyper_updates[0](text, audio, vision)
        for layer, update in zip(self.text_layers, self.hyper_updates[1:], strict=True):
            text = layer(text, text, all_true(text))
            hyper = hyper + update(text, audio, vision)
        target = with_positions(torch.cat([self.text_token.expand(len(text), -1, -1), text], dim=1))
        source = with_positions(torch.cat([self.hyper_token.expand(len(text), -1, -1), hyper], dim=1))
        for layer in self.fusion_layers:
            target = layer(target, source, all_true(source))
        return {"M": self.output(target[:, 0])}

    def parameter_groups(self) -> list[dict]:
        return fine_tuning_groups(self, self.config)


def all_true(tokens: Tensor) -> Tensor:
    """The mask of tokens without padding: [B, L, D] -> bool [B, L]."""
    return torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
