"""One modality on its own, with the network and head it has in MLF-DNN (CH-SIMS, ACL 2020, section 5.3.2 and Table 4)."""

from dataclasses import dataclass

from torch import Tensor

from models.layers import Head, RecurrentSubNet, SubNet, masked_mean
from models.system import MODALITIES, TASKS, Batch, Config, System


@dataclass(frozen=True, kw_only=True)
class UnimodalConfig(Config):
    modality: str
    task: str  # the label to learn: the modality's own or another
    hidden: int
    dropout: float
    head_hidden: int
    head_dropout: float

    def __post_init__(self):
        super().__post_init__()
        if self.modality not in MODALITIES:
            raise ValueError(f"key 'modality': '{self.modality}' is none of {', '.join(MODALITIES)}")
        if self.task not in TASKS:
            raise ValueError(f"key 'task': '{self.task}' is none of {', '.join(TASKS)}")


class Unimodal(System):
    """Text: LSTM; audio and vision: the mean over time, then three layers. A head gives the one label."""

    config_class = UnimodalConfig

    def __init__(self, config: UnimodalConfig, widths: dict[str, int], lengths: dict[str, int]):
        super().__init__(config, {config.task: 1.0})
        width = widths[config.modality]
        if config.modality == "text":
            self.subnet = RecurrentSubNet(width, config.hidden, config.hidden, config.dropout)
        else:
            self.subnet = SubNet(width, config.hidden, config.dropout)
        self.head = Head(config.hidden, config.head_hidden, config.head_dropout)

    @classmethod
    def means_suffice(cls, config: UnimodalConfig) -> tuple[str, ...]:
        return ("audio", "vision")

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        sequences = batch[self.config.modality]
        inputs = sequences if self.config.modality == "text" else masked_mean(sequences)
        return {self.config.task: self.head(self.subnet(inputs))}
