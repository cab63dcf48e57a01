"""MAG-BERT, the Multimodal Adaptation Gate in a text encoder (Rahman et al., ACL 2020)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.layers import TextAligned
from models.system import Batch, Sequences, System
from models.text_encoder import FineTuningConfig, TextEncoder, fine_tuning_groups


@dataclass(frozen=True, kw_only=True)
class MAGBERTConfig(FineTuningConfig):
    beta: float  # largest size of the displacement, relative to the token's embedding
    gate_dropout: float
    output_dropout: float
    alignment: str = "ctc"  # or 'avg_pool'

    def __post_init__(self):
        super().__post_init__()
        if self.frozen_layers:
            raise ValueError("key 'frozen_layers': the gate sits below all layers, which must learn to read it; set it to 0")


def displacement_scale(embedded: Tensor, displacement: Tensor, beta: float) -> Tensor:
    """alpha = min(beta |z| / |h|, 1), so that |alpha h| <= beta |z|: [B, L, H] twice -> [B, L, 1]."""
    size = torch.linalg.vector_norm(embedded, dim=-1, keepdim=True)
    return (beta * size / (torch.linalg.vector_norm(displacement, dim=-1, keepdim=True) + 1e-6)).clamp_max(1.0)


class AdaptationGate(nn.Module):
    """Moves each token's embedding z by what is seen and heard at that token.

    g_m = ReLU(W [m; z] + b), h = sum of g_m * (W_m m) + b_h, z' = dropout(LayerNorm(z + alpha h)).
    """

    def __init__(self, text_width: int, widths: dict[str, int], beta: float, dropout: float):
        super().__init__()
        self.beta = beta
        self.gates = nn.ModuleDict({m: nn.Linear(widths[m] + text_width, text_width) for m in ("audio", "vision")})
        self.shifts = nn.ModuleDict({m: nn.Linear(widths[m], text_width, bias=False) for m in ("audio", "vision")})
        self.bias = nn.Parameter(torch.zeros(text_width))
        self.norm = nn.LayerNorm(text_width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, embedded: Tensor, frames: Batch) -> Tensor:
        """embedded [B, L, H] and the frames aligned to it [B, L, D] -> [B, L, H]."""
        displacement = self.bias
        for modality, gate in self.gates.items():
            values = frames[modality].values
            opened = gate(torch.cat([values, embedded], dim=-1)).relu()
            displacement = displacement + opened * self.shifts[modality](values)
        scale = displacement_scale(embedded, displacement, self.beta)
        return self.dropout(self.norm(embedded + scale * displacement))


class MAGBERT(System):
    """The gate on the embeddings, the encoder's layers, a pooler on the first token's state, one linear output.

    The pooler (linear, tanh) is that of BERT, but no pre-trained weights of it come with the encoder: it starts at random.
    Audio and vision are aligned to the tokens as in CH-SIMS (section 5.1), since the gate needs a frame per token.
    """

    config_class = MAGBERTConfig
    reads_tokens = True

    def __init__(self, config: MAGBERTConfig, widths: dict[str, int], lengths: dict[str, int], encoder: TextEncoder):
        super().__init__(config, {"M": 1.0})
        self.encoder = encoder
        self.aligned = TextAligned(config.alignment, widths, lengths["text"])
        self.gate = AdaptationGate(encoder.width, widths, config.beta, config.gate_dropout)
        self.pooler = nn.Sequential(nn.Linear(encoder.width, encoder.width), nn.Tanh())
        self.output = nn.Sequential(nn.Dropout(config.output_dropout), nn.Linear(encoder.width, 1))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        frames = self.aligned(batch)
        tokens = Sequences(batch["tokens"].values[:, : frames["text"].values.shape[1]], batch["tokens"].lengths)
        states = self.encoder.encode(self.gate(self.encoder.embed(tokens), frames), tokens.mask)
        return {"M": self.output(self.pooler(states[:, 0])).flatten()}

    def parameter_groups(self) -> list[dict]:
        return fine_tuning_groups(self, self.config)
