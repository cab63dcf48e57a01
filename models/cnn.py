"""CNN baseline of a report that reproduces Self-MM: "the CNN of [F_t; I_a; I_v]" (its section 4.2).

The report says no more than that F_t is the text encoder's first-token vector and I_a, I_v are the frames. Chosen here:
convolutions of several widths and the largest answer over time, as for sentences (Kim, EMNLP 2014, section 2), once for
audio and once for vision; the text vector passes a linear layer; the three are joined.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import convolve, masked_max
from models.system import Batch, Config, Sequences, System


@dataclass(frozen=True, kw_only=True)
class CNNConfig(Config):
    kernels: list[int]  # widths of the convolutions, in frames; odd
    filters: int  # of each width and modality
    text_out: int
    output_hidden: int
    dropout: float

    def __post_init__(self):
        super().__post_init__()
        if not self.kernels or any(kernel < 1 or kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError(f"key 'kernels': {self.kernels} should hold one or more odd widths")


class SequenceCNN(nn.Module):
    """Largest answer over time of each filter: Sequences [B, L, width] -> [B, len(kernels) * filters].

    Zeros stand at both ends of a clip, so that one shorter than the kernel passes.
    """

    def __init__(self, width: int, filters: int, kernels: list[int]):
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv1d(width, filters, kernel, padding="same") for kernel in kernels)

    def forward(self, sequences: Sequences) -> Tensor:
        answers = [convolve(convolution, sequences) for convolution in self.convolutions]
        return F.relu(masked_max(Sequences(torch.cat(answers, dim=2), sequences.lengths)))


class CNN(System):
    """The first-token vector beside max-pooled convolutions of audio and vision."""

    config_class = CNNConfig

    def __init__(self, config: CNNConfig, widths: dict[str, int], lengths: dict[str, int]):
        super().__init__(config, {"M": 1.0})
        self.text = nn.Sequential(nn.Linear(widths["text"], config.text_out), nn.ReLU())
        self.audio = SequenceCNN(widths["audio"], config.filters, config.kernels)
        self.vision = SequenceCNN(widths["vision"], config.filters, config.kernels)
        self.output = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(config.text_out + 2 * len(config.kernels) * config.filters, config.output_hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.output_hidden, 1),
            nn.Flatten(0),
        )

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        text = self.text(batch["text"].values[:, 0])
        joined = torch.cat([text, self.audio(batch["audio"]), self.vision(batch["vision"])], dim=1)
        return {"M": self.output(joined)}
