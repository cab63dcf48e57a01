"""PMR, Progressive Modality Reinforcement (Lv et al., CVPR 2021).

"PMR exchanges information with each modality by introducing a message hub" (SFTTR's section on the compared methods);
there is no public code. Chosen here: a convolution over time brings every modality to one width; the hub is a fixed
number of learned message tokens; in every layer the hub attends to each modality and takes the mean of what the three
give (every modality has the same say, however long it is), then each modality attends to the hub. Both ways use the
transformer layer of MulT, and the cost grows linearly with the frames. At the end the hub's mean and each modality's
mean over its true frames are joined.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.attention import TransformerLayer, with_positions
from models.layers import convolve, masked_mean
from models.system import MODALITIES, Batch, Config, Sequences, System, require_modalities


@dataclass(frozen=True, kw_only=True)
class PMRConfig(Config):
    width: int  # of every modality behind its convolution, and of the messages
    messages: int  # tokens of the hub
    heads: int
    layers: int
    kernel: dict[str, int]  # of the convolution of each modality; odd
    attention_dropout: float
    residual_dropout: float
    output_dropout: float

    def __post_init__(self):
        super().__post_init__()
        require_modalities("kernel", self.kernel)
        if any(kernel < 1 or kernel % 2 == 0 for kernel in self.kernel.values()):
            raise ValueError("key 'kernel': an even kernel shifts the sequence by half a frame; take an odd one")
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"key 'width': {self.width} is not an even multiple of the {self.heads} heads")
        if self.messages < 1:
            raise ValueError(f"key 'messages': {self.messages} should be at least 1")


class Exchange(nn.Module):
    """One round: the hub gathers from every modality, and every modality is reinforced from the hub."""

    def __init__(self, config: PMRConfig):
        super().__init__()

        def layers() -> nn.ModuleDict:
            sizes = (config.width, config.heads, config.attention_dropout, config.residual_dropout)
            return nn.ModuleDict({modality: TransformerLayer(*sizes) for modality in MODALITIES})

        self.gather, self.reinforce = layers(), layers()

    def forward(self, hub: Tensor, inputs: Batch) -> tuple[Tensor, Batch]:
        """hub [B, messages, width] and the modalities -> the same, renewed."""
        hub = torch.stack([self.gather[m](hub, inputs[m].values, inputs[m].mask) for m in MODALITIES]).mean(0)
        every_message = torch.ones(hub.shape[:2], dtype=torch.bool, device=hub.device)
        reinforced = {
            m: Sequences(self.reinforce[m](inputs[m].values, hub, every_message), inputs[m].lengths) for m in MODALITIES
        }
        return hub, reinforced


class PMR(System):
    """Three sequences that exchange with a message hub, layer by layer."""

    config_class = PMRConfig

    def __init__(self, config: PMRConfig, widths: dict[str, int], lengths: dict[str, int]):
        super().__init__(config, {"M": 1.0})
        width = config.width
        self.convolutions = nn.ModuleDict(
            {m: nn.Conv1d(widths[m], width, config.kernel[m], padding="same", bias=False) for m in MODALITIES}
        )
        self.messages = nn.Parameter(torch.randn(config.messages, width))
        self.exchanges = nn.ModuleList(Exchange(config) for _ in range(config.layers))
        joined = width * (1 + len(MODALITIES))
        self.output = nn.Sequential(
            nn.LayerNorm(joined),
            nn.Linear(joined, width),
            nn.ReLU(),
            nn.Dropout(config.output_dropout),
            nn.Linear(width, 1),
            nn.Flatten(0),
        )

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        inputs = {
            modality: Sequences(with_positions(convolve(convolution, batch[modality])), batch[modality].lengths)
            for modality, convolution in self.convolutions.items()
        }
        hub = self.messages.expand(len(batch["text"].lengths), -1, -1)
        for exchange in self.exchanges:
            hub, inputs = exchange(hub, inputs)
        joined = torch.cat([hub.mean(1), *(masked_mean(inputs[modality]) for modality in MODALITIES)], dim=1)
        return {"M": self.output(joined)}
