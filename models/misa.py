"""MISA, Modality-Invariant and -Specific Representations (Hazarika et al., ACM MM 2020)."""

from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import masked_mean
from models.recurrent import BidirectionalLSTM
from models.system import MODALITIES, Batch, Sequences, System
from models.text_encoder import FineTuningConfig, TextEncoder, fine_tuning_groups

PAIRS = list(combinations(range(len(MODALITIES)), 2))


@dataclass(frozen=True, kw_only=True)
class UtteranceConfig(FineTuningConfig):
    """Settings of `UtteranceVectors`."""

    hidden: dict[str, int]  # state of each direction of the LSTMs of audio and of vision
    width: int  # of every modality's vector

    def __post_init__(self):
        super().__post_init__()
        if set(self.hidden) != {"audio", "vision"}:
            raise ValueError("key 'hidden' needs one value for each of audio, vision")


@dataclass(frozen=True, kw_only=True)
class MISAConfig(UtteranceConfig):
    heads: int
    feed_forward: int  # hidden width of the transformer layer's feed-forward block
    transformer_dropout: float
    output_dropout: float
    similarity_weight: float  # alpha of the paper's overall loss
    difference_weight: float  # beta
    reconstruction_weight: float  # gamma

    def __post_init__(self):
        super().__post_init__()
        if self.width % self.heads:
            raise ValueError(f"key 'width': {self.width} is no multiple of the {self.heads} heads")


class StackedLSTM(nn.Module):
    """Two bidirectional LSTMs, a layer normalisation between them: [B, L, width] -> [B, 4 hidden].

    The result joins the final states of both directions of both; each direction sees the true frames only.
    """

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.first = BidirectionalLSTM(width, hidden)
        self.norm = nn.LayerNorm(2 * hidden)
        self.second = BidirectionalLSTM(2 * hidden, hidden)

    def forward(self, sequences: Sequences) -> Tensor:
        states, first = self.first(sequences)
        _, second = self.second(Sequences(self.norm(states), sequences.lengths))
        return torch.cat([first, second], dim=1)


class UtteranceVectors(nn.Module):
    """One vector per modality, all of the same width (the paper's utterance-level representations).

    Text is the mean of its token states, audio and vision the final states of a `StackedLSTM`; each then passes a linear
    layer, ReLU and a layer normalisation. Each LSTM runs over its modality's own length (the public code packs them with
    the length of the text).
    """

    def __init__(self, config: UtteranceConfig, widths: dict[str, int], text_width: int):
        super().__init__()
        width, hidden = config.width, config.hidden
        self.recurrent = nn.ModuleDict({m: StackedLSTM(widths[m], hidden[m]) for m in ("audio", "vision")})
        inputs = {"text": text_width, "audio": 4 * hidden["audio"], "vision": 4 * hidden["vision"]}
        self.project = nn.ModuleDict(
            {m: nn.Sequential(nn.Linear(inputs[m], width), nn.ReLU(), nn.LayerNorm(width)) for m in MODALITIES}
        )

    def forward(self, states: Sequences, batch: Batch) -> dict[str, Tensor]:
        """states : of the tokens [B, L, H]. Returns {modality: Tensor [shape=(B, width)]}."""
        vectors = {"text": masked_mean(states)}
        vectors |= {modality: lstm(batch[modality]) for modality, lstm in self.recurrent.items()}
        return {modality: self.project[modality](vector) for modality, vector in vectors.items()}


def sigmoid_layer(width: int) -> nn.Sequential:
    """Encoder into a private or shared space: [B, width] -> [B, width], between 0 and 1."""
    return nn.Sequential(nn.Linear(width, width), nn.Sigmoid())


def central_moment_discrepancy(first: Tensor, second: Tensor, moments: int = 5) -> Tensor:
    """Distance of two distributions of vectors between 0 and 1 (similarity loss; Zellinger et al., ICLR 2017): a scalar.

    first and second : Tensor [shape=(B, D)], a vector per clip.
    """
    mean, other = first.mean(0), second.mean(0)
    distance = torch.linalg.vector_norm(mean - other)
    centred, others = first - mean, second - other
    for order in range(2, moments + 1):
        distance = distance + torch.linalg.vector_norm(centred.pow(order).mean(0) - others.pow(order).mean(0))
    return distance


def difference_loss(first: Tensor, second: Tensor) -> Tensor:
    """Mean square of all products between the columns of two sets of vectors: a scalar, 0 if orthogonal.

    first and second : Tensor [shape=(B, D)]; they are centred over the batch, then each vector is brought to length 1.
    The paper has the squared Frobenius norm; the public code, whose weight is used here, divides it by D^2. There, and here,
    no gradient goes through the lengths: turning a vector pays, and so does making it shorter.
    """
    centred = [vectors - vectors.mean(0) for vectors in (first, second)]
    first, second = (vectors / (vectors.detach().norm(dim=1, keepdim=True) + 1e-6) for vectors in centred)
    return (first.T @ second).square().mean()


class MISA(System):
    """Each modality in a shared and in a private space, the six vectors fused by self-attention.

    Chosen where the paper leaves it open, as in the public code: sigmoid encoders, a post-norm transformer layer whose
    feed-forward block has 2048 units, and an output network with one hidden layer of half its input.
    """

    config_class = MISAConfig
    reads_tokens = True
    squared_error = True

    def __init__(self, config: MISAConfig, widths: dict[str, int], lengths: dict[str, int], encoder: TextEncoder):
        super().__init__(config, {"M": 1.0})
        width = config.width
        self.encoder = encoder
        self.vectors = UtteranceVectors(config, widths, encoder.width)
        self.private = nn.ModuleDict({m: sigmoid_layer(width) for m in MODALITIES})
        self.shared = sigmoid_layer(width)
        self.decoders = nn.ModuleDict({m: nn.Linear(width, width) for m in MODALITIES})
        self.fusion = nn.TransformerEncoderLayer(
            width, config.heads, config.feed_forward, config.transformer_dropout, batch_first=True
        )
        joined = 2 * len(MODALITIES) * width
        self.output = nn.Sequential(
            nn.Linear(joined, joined // 2), nn.ReLU(), nn.Dropout(config.output_dropout), nn.Linear(joined // 2, 1)
        )

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Output M; and [shape=(B, 3, width)] each: the modalities' vectors, their two parts, and what these restore."""
        vectors = self.vectors(self.encoder(batch["tokens"]), batch)
        private = torch.stack([self.private[m](vectors[m]) for m in MODALITIES], dim=1)
        vectors = torch.stack([vectors[m] for m in MODALITIES], dim=1)
        shared = self.shared(vectors)
        both = (private + shared).unbind(1)
        restored = torch.stack([self.decoders[m](part) for m, part in zip(MODALITIES, both, strict=True)], dim=1)
        fused = self.fusion(torch.cat([private, shared], dim=1)).flatten(1)
        return {
            "M": self.output(fused).flatten(),
            "vectors": vectors,
            "private": private,
            "shared": shared,
            "restored": restored,
        }

    def loss(self, outputs: dict[str, Tensor], labels: dict[str, Tensor]) -> Tensor:
        """Task loss, similarity of the shared parts, difference of all other pairs of parts, and reconstruction."""
        private, shared = outputs["private"].unbind(1), outputs["shared"].unbind(1)
        similarity = sum(central_moment_discrepancy(shared[i], shared[j]) for i, j in PAIRS) / len(PAIRS)
        difference = sum(difference_loss(*parts) for parts in zip(private, shared, strict=True))
        difference = difference + sum(difference_loss(private[i], private[j]) for i, j in PAIRS)
        reconstruction = F.mse_loss(outputs["restored"], outputs["vectors"])
        return (
            self.task_loss(outputs, labels)
            + self.config.similarity_weight * similarity
            + self.config.difference_weight * difference
            + self.config.reconstruction_weight * reconstruction
        )

    def parameter_groups(self) -> list[dict]:
        return fine_tuning_groups(self, self.config)
