"""SFTTR, sequential fusion of text-close and text-far representations (Sun and Tian).

Encoders, decomposition, contrasts and losses are those of `models.confede`; the six vectors are fused one after another, by
three cross-modality encoders as in the public code (equations 9-11 name but one): each passes on all of its tokens, and the
classifier reads the mean of the last one's four.
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
    """CME: some tokens of two sides, with embeddings of their position and side, through a transformer (figure 3)."""

    def __init__(self, tokens: int, config: SFTTRConfig):
        super().__init__()
        self.position = nn.Parameter(0.02 * torch.randn(tokens, config.width))
        self.side = nn.Parameter(0.02 * torch.randn(2, config.width))
        self.norm = nn.LayerNorm(config.width, eps=1e-12)
        self.dropout = nn.Dropout(config.fusion_dropout)
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.fusion_heads,
            config.fusion_feed_forward,
            config.fusion_dropout,
            activation="gelu",
            layer_norm_eps=1e-12,
            batch_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, config.fusion_layers, enable_nested_tensor=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """[B, m, width] and [B, n, width] -> all tokens [B, m + n, width]."""
        tokens = torch.cat([first + self.side[0], second + self.side[1]], dim=1)
        return self.layers(self.dropout(self.norm(tokens + self.position)))


class SFTTR(ConFEDE):
    """Text-far vectors are fused first (audio with vision, then with the text), the sum of the text-close ones last."""

    config_class = SFTTRConfig

    def build_fusion(self) -> None:
        config = self.config
        if not config.sequential_fusion:
            super().build_fusion()
            return
        self.vision_audio, self.all_far, self.all = (CrossModalityEncoder(tokens, config) for tokens in (2, 3, 4))
        self.classifier = perceptron(config.width, config.classifier, config.classifier_dropout)

    def fuse(self, close: Tensor, far: Tensor) -> Tensor:
        if not self.config.sequential_fusion:
            return super().fuse(close, far)
        text, vision, audio = far.split(1, dim=1)
        all_far = self.all_far(text, self.vision_audio(audio, vision))
        return self.classifier(self.all(all_far, close.sum(1, keepdim=True)).mean(1))
