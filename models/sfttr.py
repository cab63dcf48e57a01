"""SFTTR, sequential fusion of text-close and text-far representations (Sun and Tian).

Encoders, decomposition, contrasts and losses are those of `models.confede`; the six vectors are fused one after another.
Choices where the paper is silent: one cross-modality encoder serves the three steps (equations 9-11 name but one); between
the steps Z is the mean of its two tokens; M, the classifier's input, is the two tokens of the last step joined.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.confede import ConFEDE, ConFEDEConfig, perceptron


@dataclass(frozen=True, kw_only=True)
class SFTTRConfig(ConFEDEConfig):
    fusion_layers: int
    fusion_heads: int
    fusion_feed_forward: int
    fusion_dropout: float
    sequential_fusion: bool = True  # or the six vectors are joined, as in ConFEDE ('-fusion' of table 3)

    def __post_init__(self):
        super().__post_init__()
        if self.width % self.fusion_heads:
            raise ValueError(f"key 'width': {self.width} is not a multiple of the {self.fusion_heads} heads")


class CrossModalityEncoder(nn.Module):
    """CME: two vectors, with embeddings of their position and kind, through a transformer (figure 3)."""

    def __init__(self, config: SFTTRConfig):
        super().__init__()
        self.position = nn.Parameter(0.02 * torch.randn(2, config.width))
        self.kind = nn.Parameter(0.02 * torch.randn(2, config.width))
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.fusion_heads,
            config.fusion_feed_forward,
            config.fusion_dropout,
            activation="gelu",
            batch_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, config.fusion_layers, enable_nested_tensor=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """[B, width] and [B, width] -> both tokens [B, 2, width]."""
        return self.layers(torch.stack([first, second], dim=1) + self.position + self.kind)


class SFTTR(ConFEDE):
    """Text-far vectors are fused first (vision, audio, text), the sum of the text-close ones last (equations 9-12)."""

    config_class = SFTTRConfig

    def build_fusion(self) -> None:
        config = self.config
        if not config.sequential_fusion:
            super().build_fusion()
            return
        self.cross_modality = CrossModalityEncoder(config)
        self.classifier = perceptron(2 * config.width, config.classifier, config.classifier_dropout)

    def fuse(self, close: Tensor, far: Tensor) -> Tensor:
        if not self.config.sequential_fusion:
            return super().fuse(close, far)
        text, vision, audio = far.unbind(1)
        vision_audio = self.cross_modality(vision, audio).mean(1)
        all_far = self.cross_modality(vision_audio, text).mean(1)
        return self.classifier(self.cross_modality(all_far, close.sum(1)).flatten(1))
