"""Late fusion with unimodal tasks: the framework of CH-SIMS (Yu et al., ACL 2020), section 4.

Each modality has its own network (equation 2); a system fuses the three representations (equation 3, `fuse`); in the
multi-task variants a head on each representation learns that modality's own label (equation 4).
"""

from dataclasses import dataclass, field

from torch import Tensor, nn

from models.layers import Head, RecurrentSubNet, SubNet, masked_mean, masked_sum
from models.system import TASK_MODALITY, Batch, Config, System, require_modalities


@dataclass(frozen=True, kw_only=True)
class LateFusionConfig(Config):
    hidden: dict[str, int]  # width of each modality's network
    text_out: int  # width of the text representation; those of audio and vision are as wide as their network
    dropout: float  # before each modality's network (text: behind the LSTM)
    task_weights: dict[str, float] = field(default_factory=lambda: {"M": 1.0})  # alpha of equation 4; absent: no such head
    head_hidden: dict[str, int] = field(default_factory=dict)  # width of the head of each unimodal task
    head_dropout: float = 0.0
    subnet_weight_decay: dict[str, float] = field(default_factory=dict)  # beta of equation 4, per modality
    pooling: str = "mean"  # of audio and vision over time; 'padded_mean' divides by the corpus's longest clip, as MMSA does

    def __post_init__(self):
        super().__post_init__()
        require_modalities("hidden", self.hidden)
        if self.subnet_weight_decay:
            require_modalities("subnet_weight_decay", self.subnet_weight_decay)
        if set(self.task_weights) != {"M", *self.head_hidden} or not set(self.head_hidden) <= set(TASK_MODALITY):
            raise ValueError("key 'task_weights' needs M and each task of 'head_hidden' (of T, A, V), no other")
        if self.pooling not in ("mean", "padded_mean"):
            raise ValueError(f"key 'pooling': '{self.pooling}' is neither 'mean' nor 'padded_mean'")


class LateFusion(System):
    """Unimodal networks and heads; a subclass defines ``fuse(representations) -> Tensor [shape=(B,)]``."""

    def __init__(self, config: LateFusionConfig, widths: dict[str, int], lengths: dict[str, int]):
        super().__init__(config, config.task_weights)
        hidden, dropout = config.hidden, config.dropout
        self.lengths = lengths
        self.subnets = nn.ModuleDict(
            {
                "text": RecurrentSubNet(widths["text"], hidden["text"], config.text_out, dropout),
                "audio": SubNet(widths["audio"], hidden["audio"], dropout),
                "vision": SubNet(widths["vision"], hidden["vision"], dropout),
            }
        )
        self.representation_widths = {"text": config.text_out, "audio": hidden["audio"], "vision": hidden["vision"]}
        self.heads = nn.ModuleDict(
            {
                task: Head(self.representation_widths[TASK_MODALITY[task]], width, config.head_dropout)
                for task, width in config.head_hidden.items()
            }
        )

    @classmethod
    def means_suffice(cls, config: LateFusionConfig) -> tuple[str, ...]:
        return ("audio", "vision") if config.pooling == "mean" else ()

    def fuse(self, representations: dict[str, Tensor]) -> Tensor:
        """{modality: Tensor [shape=(B, D)]} -> Tensor [shape=(B,)]."""
        raise NotImplementedError

    def represent(self, batch: Batch) -> dict[str, Tensor]:
        """Unimodal representations R_t, R_a, R_v (equation 2): {modality: Tensor [shape=(B, D)]}."""
        inputs = {"text": batch["text"]}
        for modality in ("audio", "vision"):
            if self.config.pooling == "mean":
                inputs[modality] = masked_mean(batch[modality])
            else:
                inputs[modality] = masked_sum(batch[modality]) / self.lengths[modality]
        return {modality: subnet(inputs[modality]) for modality, subnet in self.subnets.items()}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        representations = self.represent(batch)
        outputs = {"M": self.fuse(representations)}
        for task, head in self.heads.items():
            outputs[task] = head(representations[TASK_MODALITY[task]])
        return outputs

    def parameter_groups(self) -> list[dict]:
        """Weight decay per modality's network (equation 4, second term), `weight_decay` for all else."""
        decay = self.config.subnet_weight_decay
        groups = [
            {"params": list(subnet.parameters()), "weight_decay": decay.get(modality, self.config.weight_decay)}
            for modality, subnet in self.subnets.items()
        ]
        rest = [parameter for name, parameter in self.named_parameters() if not name.startswith("subnets.")]
        return [*groups, {"params": rest, "weight_decay": self.config.weight_decay}]
