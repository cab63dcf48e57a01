"""ConFEDE, contrastive feature decomposition (Yang et al., ACL 2023), in the form that SFTTR builds on.

Each modality has an encoder (section 3.2 of SFTTR) and two projectors: to a text-close and a text-far vector. The six
vectors joined predict the sentiment; each alone predicts a label too, and contrasts part close from far.

Choices where the papers are silent: the audio and vision encoders are pre-LN transformers over a linear layer and sinusoidal
positions, read at a learned first token; one network makes the six unimodal predictions; each encoder first learns by itself
with a linear head (`ConFEDE.training_loss`), the text for fewer epochs than the others as it comes pre-trained.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import TransformerLayer, with_positions
from models.contrast import Companions, contrastive_loss
from models.system import TASK_MODALITY, Batch, Clips, Sequences, System, require_modalities
from models.text_encoder import FineTuningConfig, TextEncoder, fine_tuning_groups

UNIMODAL_TASKS = ("T", "V", "A")  # the order of the modalities in all of the papers' formulae


@dataclass(frozen=True, kw_only=True)
class ConFEDEConfig(FineTuningConfig):
    encoder_epochs: dict[str, int]  # first epochs, in which the encoder of each modality learns alone; 0: it does not
    frozen_encoders: list[str]  # modalities whose encoder stays as it is behind those epochs
    frame_width: int  # of the audio and vision encoders
    frame_layers: dict[str, int]  # of audio and of vision
    frame_heads: int
    frame_feed_forward: int
    frame_dropout: float
    width: int  # of the six projected vectors
    close_dropout: float
    far_dropout: float
    classifier: list[int]  # widths of the classifier's hidden layers
    classifier_dropout: float
    unimodal_classifier: list[int]  # of the network that makes the six unimodal predictions
    contrastive_weight: float  # beta_cl of equation 18; 0: no clip is compared with others
    unimodal_weight: float  # beta_uni of equation 18; 0: no unimodal predictions
    temperature: float = 0.5  # tau of equation 8
    printed_contrast: bool = False  # equation 8 as it is printed, and not as in the public code: `contrastive_loss`
    candidates: int = 10  # clips that companions are drawn from, see `models.contrast.Companions`
    ranking_epochs: int = 10  # epochs between two rankings of the clips by similarity

    def __post_init__(self):
        super().__post_init__()
        require_modalities("encoder_epochs", self.encoder_epochs)
        if wrong := set(self.frozen_encoders) - set(self.encoder_epochs):
            raise ValueError(f"key 'frozen_encoders': there is no modality '{min(wrong)}'")
        if not all(self.encoder_epochs[modality] for modality in self.frozen_encoders):
            raise ValueError("key 'frozen_encoders': an encoder with 0 'encoder_epochs' would never learn; give it some")
        if set(self.frame_layers) != {"audio", "vision"}:
            raise ValueError("key 'frame_layers' needs one value for each of audio, vision")
        if self.frame_width % self.frame_heads or self.frame_width % 2:
            raise ValueError(f"key 'frame_width': {self.frame_width} is not an even multiple of {self.frame_heads} heads")
        if self.candidates < 2 or self.ranking_epochs < 1:
            raise ValueError("keys 'candidates' (at least 2) and 'ranking_epochs' (at least 1) are too small")


class FrameEncoder(nn.Module):
    """Transformer over a learned token and the frames, read at the token: [B, L, width] -> [B, frame_width].

    SFTTR, section 3.2. Behind the closing normalisation the vector is about as long as the text's, so that all three
    modalities count in the similarity of equation 1.
    """

    def __init__(self, width: int, layers: int, config: ConFEDEConfig):
        super().__init__()
        self.embed = nn.Linear(width, config.frame_width)
        self.token = nn.Parameter(0.02 * torch.randn(1, config.frame_width))
        self.layers = nn.ModuleList(
            TransformerLayer(
                config.frame_width, config.frame_heads, config.frame_dropout, config.frame_dropout, config.frame_feed_forward
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(config.frame_width)

    def forward(self, frames: Sequences) -> Tensor:
        values = self.embed(frames.values.masked_fill(~frames.mask[..., None], 0.0))
        states = with_positions(torch.cat([self.token.expand(len(values), -1, -1), values], dim=1))
        mask = F.pad(frames.mask, (1, 0), value=True)
        for layer in self.layers[:-1]:
            states = layer(states, states, mask)
        return self.norm(self.layers[-1](states[:, :1], states, mask))[:, 0]  # the last layer at the token alone


def projector(width: int, out: int, dropout: float) -> nn.Module:
    """SFTTR, section 3.3: layer normalisation, linear layer, Tanh, dropout: [B, width] -> [B, out]."""
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, out), nn.Tanh(), nn.Dropout(dropout))


def perceptron(width: int, hidden: list[int], dropout: float = 0.0) -> nn.Module:
    """Linear layers with GELU and dropout between them: [..., width] -> [...]."""
    layers = []
    for narrower in hidden:
        layers += [nn.Linear(width, narrower), nn.GELU(), nn.Dropout(dropout)]
        width = narrower
    return nn.Sequential(*layers, nn.Linear(width, 1), nn.Flatten(-2))


class ConFEDE(System):
    """Six decomposed vectors, joined.

    Attributes
    ----------
    companions : models.contrast.Companions or None
        The clips that each clip of the train split may be compared with, as ranked last.
    """

    config_class = ConFEDEConfig
    reads_tokens = True
    squared_error = True
    repeats_steps = False  # how many clips are compared differs from batch to batch

    def __init__(self, config: ConFEDEConfig, widths: dict[str, int], lengths: dict[str, int], encoder: TextEncoder):
        super().__init__(config, {"M": 1.0})
        self.encoder = encoder
        self.frame_encoders = nn.ModuleDict()
        for task, modality in (("V", "vision"), ("A", "audio")):
            self.frame_encoders[task] = FrameEncoder(widths[modality], config.frame_layers[modality], config)
        vectors = {"T": encoder.width, "V": config.frame_width, "A": config.frame_width}
        self.heads = nn.ModuleDict(
            {task: nn.Linear(vectors[task], 1) for task in UNIMODAL_TASKS if config.encoder_epochs[TASK_MODALITY[task]]}
        )
        self.close = nn.ModuleDict(
            {task: projector(vectors[task], config.width, config.close_dropout) for task in UNIMODAL_TASKS}
        )
        self.far = nn.ModuleDict({task: projector(vectors[task], config.width, config.far_dropout) for task in UNIMODAL_TASKS})
        if config.unimodal_weight:
            self.unimodal = perceptron(config.width, config.unimodal_classifier, config.classifier_dropout)
        self.build_fusion()
        self.epoch = 0
        self.companions: Companions | None = None
        self.frozen_vectors: dict[str, Tensor] = {}  # of all clips of the train split, in the order of their indices
        # A generator of its own, so that the choice of companions and dropout do not disturb each other.
        self.generator = np.random.default_rng(torch.initial_seed() % 2**63)

    def build_fusion(self) -> None:
        """Make what `fuse` needs."""
        self.classifier = perceptron(6 * self.config.width, self.config.classifier, self.config.classifier_dropout)

    def fuse(self, close: Tensor, far: Tensor) -> Tensor:
        """C_m and F_m [B, 3, width] -> prediction [B]."""
        return self.classifier(torch.cat([close, far], dim=1).flatten(1))

    @property
    def pretraining_epochs(self) -> int:
        return max(self.config.encoder_epochs.values())

    def encode(self, batch: Batch, task: str) -> Tensor:
        """Unimodal vector T, V or A (SFTTR, section 3.2): [B, H]. That of the text is its first token's state."""
        if task == "T":
            return self.encoder(batch["tokens"]).values[:, 0]
        return self.frame_encoders[task](batch[TASK_MODALITY[task]])

    def decompose(self, vectors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """{task: [B, H]} -> C_m and F_m, each [B, 3, width]."""
        close = torch.stack([self.close[task](vectors[task]) for task in UNIMODAL_TASKS], dim=1)
        far = torch.stack([self.far[task](vectors[task]) for task in UNIMODAL_TASKS], dim=1)
        return close, far

    def represent(self, batch: Batch) -> dict[str, Tensor]:
        """The six decomposed vectors (SFTTR, figure 4): {'C_T', 'C_V', 'C_A', 'F_T', 'F_V', 'F_A': [B, width]}."""
        close, far = self.decompose({task: self.encode(batch, task) for task in UNIMODAL_TASKS})
        named = {f"C_{task}": close[:, place] for place, task in enumerate(UNIMODAL_TASKS)}
        return named | {f"F_{task}": far[:, place] for place, task in enumerate(UNIMODAL_TASKS)}

    def predict(self, close: Tensor, far: Tensor) -> dict[str, Tensor]:
        """Equations 12 and 14: 'M' [B] and, if they are learned, 'unimodal' [B, 6], of C_T, C_V, C_A, F_T, F_V, F_A."""
        outputs = {"M": self.fuse(close, far)}
        if self.config.unimodal_weight:
            outputs["unimodal"] = self.unimodal(torch.cat([close, far], dim=1))
        return outputs

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return self.predict(*self.decompose({task: self.encode(batch, task) for task in UNIMODAL_TASKS}))

    def loss(self, outputs: dict[str, Tensor], labels: dict[str, Tensor]) -> Tensor:
        """Equations 13 and 16: the task's loss and the weighted loss of the unimodal predictions."""
        total = self.task_loss(outputs, labels)
        if self.config.unimodal_weight:
            truth = torch.stack([labels[task] for task in ("M", "M", "M", *UNIMODAL_TASKS)], dim=1)
            total = total + self.config.unimodal_weight * mean_squared_error(outputs["unimodal"], truth).sum()
        return total

    def training_loss(self, clips: Clips, indices: np.ndarray) -> Tensor:
        """Equation 18; in the first epochs the loss of the encoders alone.

        There a linear head on each modality's vector predicts the modality's own label, M where there is none. The three
        share no parameter, so that learning them together is the same as one after the other. The heads serve no more
        afterwards.
        """
        if self.epoch <= self.pretraining_epochs:
            return self._encoder_loss(clips, indices)
        wanted, companions = indices, None
        if self.config.contrastive_weight:
            companions = self.companions.draw(indices, self.generator)
            wanted = np.unique(np.concatenate([indices, companions[companions >= 0]]))
        close, far = self.decompose(self._vectors(clips, wanted))
        if companions is None:
            return self.loss(self.predict(close, far), clips.batch_labels(indices))
        # Clips that take part more than once were encoded once: `wanted` is ascending, so that rows can be looked up.
        anchors = torch.as_tensor(np.searchsorted(wanted, indices), device=close.device)
        rows = np.where(companions >= 0, np.searchsorted(wanted, companions), -1)
        rows = torch.as_tensor(rows, device=close.device)
        contrast = contrastive_loss(close, far, anchors, rows, self.config.temperature, self.config.printed_contrast)
        loss = self.loss(self.predict(close[anchors], far[anchors]), clips.batch_labels(indices))
        return loss + self.config.contrastive_weight * contrast

    def _encoder_loss(self, clips: Clips, indices: np.ndarray) -> Tensor:
        batch, labels = clips.batch(indices), clips.batch_labels(indices)
        total = torch.zeros((), device=labels["M"].device)
        for task, head in self.heads.items():
            if self.epoch <= self.config.encoder_epochs[TASK_MODALITY[task]]:
                truth = torch.where(torch.isnan(labels[task]), labels["M"], labels[task])
                total = total + mean_squared_error(head(self.encode(batch, task)), truth[:, None]).sum()
        return total

    def _vectors(self, clips: Clips, indices: np.ndarray) -> dict[str, Tensor]:
        rows = np.searchsorted(self.train_clips, indices)
        vectors = {task: known[rows] for task, known in self.frozen_vectors.items()}
        if len(vectors) < len(UNIMODAL_TASKS):
            batch = clips.batch(indices)
            vectors |= {task: self.encode(batch, task) for task in UNIMODAL_TASKS if task not in vectors}
        return vectors

    @torch.no_grad()
    def corpus_vectors(self, clips: Clips, indices: np.ndarray, tasks: tuple[str, ...] = UNIMODAL_TASKS) -> dict[str, Tensor]:
        """Vectors of the clips at `indices` as they are now, without dropout: {task: Tensor [shape=(n, H)]}."""
        training = self.training
        self.eval()
        parts = []
        for start in range(0, len(indices), self.config.batch_size):
            batch = clips.batch(indices[start : start + self.config.batch_size])
            parts.append({task: self.encode(batch, task) for task in tasks})
        self.train(training)
        return {task: torch.cat([part[task] for part in parts]) for task in tasks}

    def begin_epoch(self, epoch: int, clips: Clips, train: np.ndarray) -> None:
        """Behind the pre-training: fix the vectors of frozen encoders, and rank the clips by similarity every so often."""
        self.epoch = epoch
        later = epoch - self.pretraining_epochs - 1
        if later == 0:
            self.train_clips = np.sort(train)
            frozen = tuple(task for task in UNIMODAL_TASKS if TASK_MODALITY[task] in self.config.frozen_encoders)
            self.frozen_vectors = self.corpus_vectors(clips, self.train_clips, frozen) if frozen else {}
        if self.config.contrastive_weight and later >= 0 and later % self.config.ranking_epochs == 0:
            moving = tuple(task for task in UNIMODAL_TASKS if task not in self.frozen_vectors)
            vectors = self.frozen_vectors | (self.corpus_vectors(clips, self.train_clips, moving) if moving else {})
            labels = clips.batch_labels(self.train_clips)["M"].cpu().numpy()
            _, kinds = np.unique(np.round(np.nan_to_num(labels), 4), return_inverse=True)
            kinds = np.where(np.isnan(labels), -1, kinds)
            joined = torch.cat([vectors[task] for task in UNIMODAL_TASKS], dim=1)
            self.companions = Companions(self.train_clips, joined, kinds, self.config.candidates)

    def parameter_groups(self) -> list[dict]:
        """The encoder of the text and the rest, of both the biases and normalisations apart, which do not decay."""
        groups = []
        for group in fine_tuning_groups(self, self.config):
            for decays in (True, False):
                chosen = [parameter for parameter in group["params"] if (parameter.dim() > 1) == decays]
                groups.append(group | {"params": chosen} | ({} if decays else {"weight_decay": 0.0}))
        return groups


def mean_squared_error(predictions: Tensor, truth: Tensor) -> Tensor:
    """Per column the mean over the labels that are present, NaN being an absent one: [B, K] and [B, K] -> [K]."""
    present = ~torch.isnan(truth)
    error = (predictions - truth.nan_to_num()).square().masked_fill(~present, 0.0)
    return error.sum(0) / present.sum(0).clamp_min(1)
