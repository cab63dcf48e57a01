"""LMF, Low-rank Multimodal Fusion (Liu et al., ACL 2018), and its multi-task form MLMF (CH-SIMS, ACL 2020)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.late_fusion import LateFusion, LateFusionConfig
from models.layers import with_one


@dataclass(frozen=True, kw_only=True)
class LMFConfig(LateFusionConfig):
    rank: int
    factor_learning_rate: float


class LMF(LateFusion):
    """The weight tensor over [1; t] x [1; a] x [1; v] as a weighted sum of `rank` products of vectors.

    y = sum_r w_r prod_m (z_m . W_m,r) + b (LMF, section 3, with one output), with all of W, w and b trained.
    """

    config_class = LMFConfig

    def __init__(self, config: LMFConfig, widths: dict[str, int], lengths: dict[str, int]):
        super().__init__(config, widths, lengths)
        self.factors = nn.ParameterDict()
        for modality, width in self.representation_widths.items():
            deviation = math.sqrt(2.0 / (width + 1 + config.rank))  # Glorot's normal initialisation
            self.factors[modality] = nn.Parameter(deviation * torch.randn(width + 1, config.rank))
        self.rank_weights = nn.Parameter(math.sqrt(2.0 / (config.rank + 1)) * torch.randn(config.rank))
        self.bias = nn.Parameter(torch.zeros(()))

    def fuse(self, representations: dict[str, Tensor]) -> Tensor:
        product = torch.ones_like(self.rank_weights)
        for modality, factor in self.factors.items():
            product = product * (with_one(representations[modality]) @ factor)  # [B, rank]
        return product @ self.rank_weights + self.bias

    def parameter_groups(self) -> list[dict]:
        *subnets, rest = super().parameter_groups()
        factors = list(self.factors.values())
        others = [parameter for parameter in rest["params"] if not any(parameter is factor for factor in factors)]
        decay = rest["weight_decay"]
        return [
            *subnets,
            {"params": factors, "lr": self.config.factor_learning_rate, "weight_decay": decay},
            {"params": others, "weight_decay": decay},
        ]
