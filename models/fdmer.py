"""FDMER, Feature-Disentangled Multimodal Emotion Recognition (Yang et al., ACM MM 2022).

"A feature disentangled method to deal with modality heterogeneity by learning two distinct representations" (SFTTR's
section on the compared methods): of every modality a common one, alike across modalities, and a private one. There is no
public code. Chosen here: the front of a modality is a convolution over time and the mean over its true frames; the
similarity loss is CMD, the difference loss HSIC with the inner product as kernel; one discriminator names the modality of
a vector, helped by the private encoders and, through reversed gradients, opposed by the common one; in the fusion the two
vectors of each modality attend to the four of the other two, and all six are joined.
"""

from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import TransformerLayer
from models.layers import convolve, masked_mean
from models.misa import central_moment_discrepancy
from models.system import MODALITIES, Batch, Config, Sequences, System


@dataclass(frozen=True, kw_only=True)
class FDMERConfig(Config):
    width: int  # of every representation
    kernel: int  # of the convolutions; odd
    heads: int
    discriminator_hidden: int
    attention_dropout: float
    residual_dropout: float
    output_dropout: float
    similarity_weight: float
    difference_weight: float
    reconstruction_weight: float
    discriminator_weight: float

    def __post_init__(self):
        super().__post_init__()
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"key 'kernel': {self.kernel} should be odd")
        if self.width % self.heads:
            raise ValueError(f"key 'width': {self.width} is not a multiple of the {self.heads} heads")
        for name, weight in vars(self).items():
            if name.endswith("_weight") and not weight > 0:
                raise ValueError(f"key '{name}': {weight} should be above 0")


def independence_criterion(first: Tensor, second: Tensor) -> Tensor:
    """HSIC with the inner product as kernel (Gretton et al., ALT 2005, definition 9): a number, 0 if uncorrelated.

    first, second : Tensor [shape=(n, D)] and [shape=(n, E)]. trace(K H L H) / (n - 1)^2 with K = first first^T and
    L = second second^T is the squared norm of the cross-covariance, which takes D * E numbers in place of n * n.
    """
    centred = first - first.mean(0), second - second.mean(0)
    return (centred[0].T @ centred[1]).square().sum() / max(len(first) - 1, 1) ** 2


class ReversedGradient(torch.autograd.Function):
    """The identity, whose gradient changes its sign (Ganin et al., JMLR 2016, section 4.2)."""

    @staticmethod
    def forward(context, values: Tensor) -> Tensor:
        return values.view_as(values)

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        return -gradient


def mean_over_pairs(measure, representations: list[Tensor]) -> Tensor:
    """Mean of `measure(first, second)` over all pairs."""
    return torch.stack([measure(first, second) for first, second in combinations(representations, 2)]).mean()


class FDMER(System):
    """Common and private representations of the modalities, joined by attention across modalities."""

    config_class = FDMERConfig

    def __init__(self, config: FDMERConfig, widths: dict[str, int], lengths: dict[str, int]):
        super().__init__(config, {"M": 1.0})
        width = config.width
        self.convolutions = nn.ModuleDict({m: nn.Conv1d(widths[m], width, config.kernel, padding="same") for m in MODALITIES})
        self.norms = nn.ModuleDict({m: nn.LayerNorm(width) for m in MODALITIES})
        # CMD compares features of a bounded range: the sigmoid's [0, 1].
        self.common = nn.Sequential(nn.Linear(width, width), nn.Sigmoid())
        self.private = nn.ModuleDict({m: nn.Sequential(nn.Linear(width, width), nn.Sigmoid()) for m in MODALITIES})
        self.decoders = nn.ModuleDict({m: nn.Linear(2 * width, width) for m in MODALITIES})
        self.discriminator = nn.Sequential(
            nn.Linear(width, config.discriminator_hidden),
            nn.ReLU(),
            nn.Linear(config.discriminator_hidden, len(MODALITIES)),
        )
        self.attention = nn.ModuleDict(
            {m: TransformerLayer(width, config.heads, config.attention_dropout, config.residual_dropout) for m in MODALITIES}
        )
        self.output = nn.Sequential(
            nn.Linear(2 * width * len(MODALITIES), width),
            nn.ReLU(),
            nn.Dropout(config.output_dropout),
            nn.Linear(width, 1),
            nn.Flatten(0),
        )

    def represent(self, modality: str, sequences: Sequences) -> Tensor:
        """The front of one modality: [B, L, D] -> [B, width]."""
        frames = F.relu(convolve(self.convolutions[modality], sequences))
        return self.norms[modality](masked_mean(Sequences(frames, sequences.lengths)))

    def fuse(self, common: dict[str, Tensor], private: dict[str, Tensor]) -> Tensor:
        """Six vectors [B, width] -> [B]."""
        pairs = {m: torch.stack([common[m], private[m]], dim=1) for m in MODALITIES}
        joined = []
        for target in MODALITIES:
            others = torch.cat([pairs[m] for m in MODALITIES if m != target], dim=1)
            every_vector = torch.ones(others.shape[:2], dtype=torch.bool, device=others.device)
            joined.append(self.attention[target](pairs[target], others, every_vector).flatten(1))
        return self.output(torch.cat(joined, dim=1))

    def discrimination(self, common: list[Tensor], private: list[Tensor]) -> Tensor:
        """Cross-entropy of the discriminator; minimising it moves the common encoder away from what tells modalities."""
        vectors = torch.cat([ReversedGradient.apply(torch.cat(common)), torch.cat(private)])
        modalities = torch.arange(len(MODALITIES), device=vectors.device).repeat_interleave(len(common[0])).repeat(2)
        return F.cross_entropy(self.discriminator(vectors), modalities)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The task and, as scalars, the terms that `loss` adds."""
        fronts = {m: self.represent(m, batch[m]) for m in MODALITIES}
        common = {m: self.common(fronts[m]) for m in MODALITIES}
        private = {m: self.private[m](fronts[m]) for m in MODALITIES}
        reconstructed = {m: self.decoders[m](torch.cat([common[m], private[m]], dim=1)) for m in MODALITIES}
        within = torch.stack([independence_criterion(common[m], private[m]) for m in MODALITIES]).mean()
        return {
            "M": self.fuse(common, private),
            "similarity": mean_over_pairs(central_moment_discrepancy, list(common.values())),
            "difference": within + mean_over_pairs(independence_criterion, list(private.values())),
            "reconstruction": torch.stack([F.mse_loss(reconstructed[m], fronts[m]) for m in MODALITIES]).mean(),
            "discriminator": self.discrimination(list(common.values()), list(private.values())),
        }

    def loss(self, outputs: dict[str, Tensor], labels: dict[str, Tensor]) -> Tensor:
        """The task's loss plus the four terms, each by its weight."""
        total = self.task_loss(outputs, labels)
        for term in ("similarity", "difference", "reconstruction", "discriminator"):
            total = total + getattr(self.config, f"{term}_weight") * outputs[term]
        return total
