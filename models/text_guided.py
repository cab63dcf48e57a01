"""Text-guided two-stage fusion, the authors' own model of a report that reproduces Self-MM (section 4.4).

The text is fused with the audio and with the vision first, the two results with each other then. Choices where the report
is silent: all three vectors are `width` wide (half of it per direction of a BiLSTM) and are the tokens of the transformers;
a transformer has one layer, four heads and a feed-forward part four times as wide; nothing is pooled between the stages, and
the four tokens behind the second stage are joined for the output.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.recurrent import BidirectionalLSTM
from models.system import Batch, System
from models.text_encoder import FineTuningConfig, TextEncoder, fine_tuning_groups


@dataclass(frozen=True, kw_only=True)
class TextGuidedConfig(FineTuningConfig):
    width: int  # hidden width of the transformers (table 5)
    heads: int
    layers: int  # of each transformer
    dropout: float

    def __post_init__(self):
        super().__post_init__()
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"key 'width': {self.width} is not an even multiple of the {self.heads} heads")


class TextGuided(System):
    """F1 = TRM([t; a]), F2 = TRM([t; v]), M = MLP(TRM([F1; F2]))."""

    config_class = TextGuidedConfig
    reads_tokens = True

    def __init__(self, config: TextGuidedConfig, widths: dict[str, int], lengths: dict[str, int], encoder: TextEncoder):
        super().__init__(config, {"M": 1.0})
        width = config.width
        self.encoder = encoder
        self.text = nn.Sequential(
            nn.Linear(encoder.width, width), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(width, width)
        )
        self.lstms = nn.ModuleDict({m: BidirectionalLSTM(widths[m], width // 2) for m in ("audio", "vision")})
        self.with_audio, self.with_vision, self.fusion = (transformer(config) for _ in range(3))
        self.output = nn.Sequential(
            nn.Linear(4 * width, width), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(width, 1), nn.Flatten(0)
        )

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        text = self.text(self.encoder(batch["tokens"]).values[:, 0])
        audio, vision = (lstm(batch[modality])[1] for modality, lstm in self.lstms.items())
        with_audio = self.with_audio(torch.stack([text, audio], dim=1))
        with_vision = self.with_vision(torch.stack([text, vision], dim=1))
        return {"M": self.output(self.fusion(torch.cat([with_audio, with_vision], dim=1)).flatten(1))}

    def parameter_groups(self) -> list[dict]:
        return fine_tuning_groups(self, self.config)


def transformer(config: TextGuidedConfig) -> nn.Module:
    """TRM: a transformer encoder (Vaswani et al., 2017) over tokens [B, L, width]."""
    layer = nn.TransformerEncoderLayer(config.width, config.heads, 4 * config.width, config.dropout, batch_first=True)
    return nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
