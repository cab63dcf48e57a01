"""EF-LSTM, early fusion (Williams et al., 2018; a baseline of CH-SIMS, ACL 2020, section 5.1)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.layers import TextAligned, last_step
from models.system import MODALITIES, Batch, Config, System


@dataclass(frozen=True, kw_only=True)
class EFLSTMConfig(Config):
    hidden: int
    layers: int
    dropout: float
    alignment: str = "ctc"  # or 'avg_pool'


class EFLSTM(System):
    """An LSTM over the joined, text-aligned frames; its state at the last true step gives the output."""

    config_class = EFLSTMConfig

    def __init__(self, config: EFLSTMConfig, widths: dict[str, int], lengths: dict[str, int]):
        super().__init__(config, {"M": 1.0})
        self.aligned = TextAligned(config.alignment, widths, lengths["text"])
        between = config.dropout if config.layers > 1 else 0.0
        self.lstm = nn.LSTM(sum(widths.values()), config.hidden, config.layers, batch_first=True, dropout=between)
        self.output = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, 1),
            nn.Flatten(0),
        )

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        aligned = self.aligned(batch)
        states, _ = self.lstm(torch.cat([aligned[modality].values for modality in MODALITIES], dim=2))
        return {"M": self.output(last_step(states, batch["text"].lengths))}
