"""TFN, Tensor Fusion Network (Zadeh et al., EMNLP 2017), and its multi-task form MTFN (CH-SIMS, ACL 2020)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from models.late_fusion import LateFusion, LateFusionConfig
from models.layers import Head, with_one
from models.system import MODALITIES


@dataclass(frozen=True, kw_only=True)
class TFNConfig(LateFusionConfig):
    fusion_hidden: int
    fusion_dropout: float
    output_bound: float = 1.0  # outputs lie within minus and plus this: the range of the labels


def fusion_tensor(representations: dict[str, Tensor]) -> Tensor:
    """Outer product [1; t] x [1; a] x [1; v] (TFN, section 4.2): Tensor [shape=(B, (D_t + 1) (D_a + 1) (D_v + 1))]."""
    text, audio, vision = (with_one(representations[modality]) for modality in MODALITIES)
    return torch.einsum("bt,ba,bv->btav", text, audio, vision).flatten(1)


class TFN(LateFusion):
    """Three-layer network on the outer product of the representations.

    The output is squashed to the range of the labels by a sigmoid, as in TFN, section 4.3.
    """

    config_class = TFNConfig

    def __init__(self, config: TFNConfig, widths: dict[str, int], lengths: dict[str, int]):
        super().__init__(config, widths, lengths)
        size = math.prod(width + 1 for width in self.representation_widths.values())
        self.fusion = Head(size, config.fusion_hidden, config.fusion_dropout)

    def fuse(self, representations: dict[str, Tensor]) -> Tensor:
        bound = self.config.output_bound
        return 2 * bound * torch.sigmoid(self.fusion(fusion_tensor(representations))) - bound
