"""LF-DNN (late fusion by concatenation; Cambria et al., 2017) and its multi-task form MLF-DNN (CH-SIMS, ACL 2020)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.late_fusion import LateFusion, LateFusionConfig
from models.layers import Head
from models.system import MODALITIES


@dataclass(frozen=True, kw_only=True)
class LFDNNConfig(LateFusionConfig):
    fusion_hidden: int
    fusion_dropout: float


class LFDNN(LateFusion):
    """Three-layer network on the joined representations."""

    config_class = LFDNNConfig

    def __init__(self, config: LFDNNConfig, widths: dict[str, int], lengths: dict[str, int]):
        super().__init__(config, widths, lengths)
        joined = sum(self.representation_widths.values())
        self.fusion = Head(joined, config.fusion_hidden, config.fusion_dropout)

    def fuse(self, representations: dict[str, Tensor]) -> Tensor:
        return self.fusion(torch.cat([representations[modality] for modality in MODALITIES], dim=1))
