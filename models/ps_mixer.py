"""PS-Mixer, a Polar-Vector and Strength-Vector mixer (Lin et al., Information Processing & Management 2023)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.misa import UtteranceConfig, UtteranceVectors, sigmoid_layer
from models.system import Batch, System
from models.text_encoder import TextEncoder, fine_tuning_groups


@dataclass(frozen=True, kw_only=True)
class PSMixerConfig(UtteranceConfig):
    mixer_hidden: int
    mixer_depth: int
    mixer_dropout: float
    output_dropout: float
    polar_weight: float  # of the polar loss
    strength_weight: float  # of the strength loss


def _mixing(width: int, hidden: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width), nn.Dropout(dropout)
    )


class Communicator(nn.Module):
    """MLP-Communicator: two modalities' vectors exchange what they hold: [B, D] twice -> [B, 2 D].

    Per layer one network mixes the two modalities, entry by entry, and one the entries, modality by modality; both beside
    a residual, as in MLP-Mixer (Tolstikhin et al., NeurIPS 2021). A batch normalisation per modality comes before them.
    """

    def __init__(self, width: int, hidden: int, depth: int, dropout: float):
        super().__init__()
        self.norm = nn.BatchNorm1d(2, affine=False)
        self.across_modalities = nn.ModuleList(_mixing(2, hidden, dropout) for _ in range(depth))
        self.across_entries = nn.ModuleList(_mixing(width, hidden, dropout) for _ in range(depth))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        pair = self.norm(torch.stack([first, second], dim=1))
        for modalities, entries in zip(self.across_modalities, self.across_entries, strict=True):
            pair = pair + modalities(pair.transpose(1, 2)).transpose(1, 2)
            pair = pair + entries(pair)
        return pair.flatten(1)


def polar_loss(polar: Tensor, outputs: Tensor, labels: Tensor) -> Tensor:
    """How far the polar vectors of the clips of a sign point from those of the clips given that sign: a scalar.

    1 - cosine between the two sums of polar vectors, for the sign >= 0 and the sign < 0, each weighted by its share of
    the clips. A sign that no clip was given counts 0.

    polar : [shape=(B, D)]; outputs and labels : [shape=(B,)], NaN where a label is absent: such a clip does not count.
    """
    present = ~torch.isnan(labels)
    loss = polar.new_zeros(())
    for given, true in ((outputs >= 0, labels >= 0), (outputs < 0, labels < 0)):
        given = given & present
        cosine = F.cosine_similarity(given.to(polar.dtype) @ polar, true.to(polar.dtype) @ polar, dim=0)
        loss = loss + true.sum() / present.sum().clamp_min(1) * given.any() * (1 - cosine)
    return loss


def strength_loss(strength: Tensor, labels: Tensor) -> Tensor:
    """1 - Pearson correlation of the strength and the size of the label: a scalar; 1 where that is undefined.

    strength and labels : [shape=(B,)], NaN where a label is absent: such a clip does not count. Without any label it is 0.
    """
    present = ~torch.isnan(labels)
    # Masked, not chosen: how many there are must not be waited for.
    centred = [
        (values - values.sum() / present.sum().clamp_min(1)).masked_fill(~present, 0)
        for values in (strength.masked_fill(~present, 0), labels.abs().nan_to_num())
    ]
    return present.any() * (1 - F.cosine_similarity(*centred, dim=0, eps=1e-4))


class PSMixer(System):
    """Vision and text decide the sign (polar vector), audio and text the size (strength vector) of the sentiment.

    The polar vector is brought to the strength vector's L1 norm and read by a network without biases, so that the output
    is proportional to the strength. The vectors are MISA's, one shared space for each of the two pairs.

    Taken from the public code, the model's fullest description: sigmoid encoders of the shared spaces, an output
    network with a hidden layer of three times its input, and the two losses beside the squared error. Chosen otherwise:
    each communicator has its own batch normalisation (there one serves both, so that in evaluation the two pairs are
    normalised by their common statistics) and each layer of it its own weights.
    """

    config_class = PSMixerConfig
    reads_tokens = True
    squared_error = True

    def __init__(self, config: PSMixerConfig, widths: dict[str, int], lengths: dict[str, int], encoder: TextEncoder):
        super().__init__(config, {"M": 1.0})
        width = config.width
        mixer = (width, config.mixer_hidden, config.mixer_depth, config.mixer_dropout)
        self.encoder = encoder
        self.vectors = UtteranceVectors(config, widths, encoder.width)
        self.polar_space, self.strength_space = sigmoid_layer(width), sigmoid_layer(width)
        self.polar, self.strength = Communicator(*mixer), Communicator(*mixer)
        self.output = nn.Sequential(
            nn.Linear(2 * width, 6 * width, bias=False),
            nn.ReLU(),
            nn.Dropout(config.output_dropout),
            nn.Linear(6 * width, 1, bias=False),
        )

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Output M; the polar vectors [shape=(B, 2 width)] and the strengths [shape=(B,)]."""
        vectors = self.vectors(self.encoder(batch["tokens"]), batch)
        polar = self.polar(self.polar_space(vectors["vision"]), self.polar_space(vectors["text"]))
        strength = self.strength(self.strength_space(vectors["audio"]), self.strength_space(vectors["text"]))
        size = strength.abs().sum(1)
        fused = F.normalize(polar, p=1, dim=1) * size[:, None]
        return {"M": self.output(fused).flatten(), "polar": polar, "strength": size}

    def loss(self, outputs: dict[str, Tensor], labels: dict[str, Tensor]) -> Tensor:
        """Squared error, polar and strength loss; the latter two over the clips with a label."""
        loss = self.task_loss(outputs, labels)
        loss = loss + self.config.polar_weight * polar_loss(outputs["polar"], outputs["M"], labels["M"])
        return loss + self.config.strength_weight * strength_loss(outputs["strength"], labels["M"])

    def parameter_groups(self) -> list[dict]:
        return fine_tuning_groups(self, self.config)
