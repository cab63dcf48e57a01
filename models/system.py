"""What every system is: a batch of ragged sequences in, one number per clip and task out.

Modalities are ``text``, ``audio`` and ``vision``; tasks are the labels ``M`` (multimodal), ``T``, ``A`` and ``V`` (one
modality each). A system is one file with a configuration (a frozen dataclass, subclass of `Config`) and a `System`.
"""

import dataclasses
import difflib
import typing
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

MODALITIES = ("text", "audio", "vision")
TASKS = ("M", "T", "A", "V")
TASK_MODALITY = {"T": "text", "A": "audio", "V": "vision"}


class Sequences(typing.NamedTuple):
    """One modality of a batch.

    values : Tensor [shape=(B, L, D)], zero beyond a clip's last frame; of token ids int64 [shape=(B, L)].
    lengths : Tensor [shape=(B,)], int64, at least 1.
    """

    values: Tensor
    lengths: Tensor

    @property
    def mask(self) -> Tensor:
        """True frames: bool Tensor [shape=(B, L)]."""
        return torch.arange(self.values.shape[1], device=self.lengths.device) < self.lengths[:, None]


Batch = dict[str, Sequences]  # an entry per modality; for a system that `reads_tokens` also 'tokens'


class Clips(typing.Protocol):
    """The corpus, as far as a system may look into it while it trains; a clip is named by its index."""

    def batch(self, indices: np.ndarray | Tensor) -> Batch:
        """Features of the clips at `indices`."""

    def batch_labels(self, indices: np.ndarray | Tensor) -> dict[str, Tensor]:
        """{task: Tensor [shape=(B,)]}, NaN where a label is absent."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Training settings that all systems share (CH-SIMS, section 5.2); every system adds its own."""

    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    early_stop: int = 8  # epochs without a better validation loss before training ends
    max_epochs: int = 100
    gradient_clip: float = 0.0  # largest norm of the gradient; 0 leaves it as it is
    gradient_clip_value: float = 0.0  # largest size of one of its entries; 0 leaves them as they are
    accumulate: int = 1  # batches whose gradients are added up for an optimiser step
    decoupled_weight_decay: bool = False  # AdamW in place of Adam
    warmup_epochs: int = 0  # the learning rate rises linearly over these epochs
    decay: str = (
        ""  # how the learning rate falls behind the warm-up, to 0 at max_epochs: 'cosine' or 'linear'; empty: it does not
    )
    similar_lengths: str = ""  # modality by whose length clips are put together in training batches; empty: at random
    precision: str = "fp32"  # or 'bf16': matrix products in bfloat16

    def __post_init__(self):
        if self.similar_lengths not in ("", *MODALITIES):
            raise ValueError(f"key 'similar_lengths': '{self.similar_lengths}' is none of {', '.join(MODALITIES)}")
        if self.decay not in ("", "cosine", "linear"):
            raise ValueError(f"key 'decay': '{self.decay}' is neither 'cosine' nor 'linear', nor empty for none")
        for key in ("batch_size", "max_epochs", "early_stop", "accumulate"):
            if getattr(self, key) < 1:
                raise ValueError(f"key '{key}': {getattr(self, key)} is less than 1")
        if not self.learning_rate > 0:
            raise ValueError(f"key 'learning_rate': {self.learning_rate} is not above 0")
        for key in filter(lambda key: "dropout" in key, vars(self)):
            value = getattr(self, key)
            for share in value.values() if isinstance(value, dict) else [value]:
                if not 0 <= share < 1:
                    raise ValueError(f"key '{key}': {share} is no share of units, 0 or more and less than 1")
        if self.precision not in ("fp32", "bf16"):
            raise ValueError(f"key 'precision': '{self.precision}' is neither 'fp32' nor 'bf16'")


class System(nn.Module):
    """Base of all systems that are trained by gradient.

    Subclasses take ``(config, widths, lengths)``: their configuration, the width of each modality's frames and the
    largest number of frames of each modality in the corpus; and define ``forward(batch)``, which gives
    {task: Tensor [shape=(B,)]} and, if its loss needs them, further tensors under other names.

    A system that fine-tunes the text encoder sets `reads_tokens` and takes a fourth argument, the pre-trained
    `models.text_encoder.TextEncoder`; its batches have the token ids as 'tokens'.

    Parameters
    ----------
    config : Config
    task_weights : dict of str to float
        Weight of each task in the loss; its keys are the tasks that the system learns from labels.
    """

    config_class: type[Config]
    reads_tokens = False
    squared_error = False  # tasks are learned with the squared error, not the absolute one
    label_range = (-1.0, 1.0)  # smallest and largest label of the corpus; set by whoever makes the system
    # A training step is the same operations for all clips and epochs of a `stage`, so that a GPU can replay it as a whole.
    repeats_steps = True
    stage = 0
    pretraining_epochs = 0  # epochs before the multimodal task is learned; early stopping counts from there

    def __init__(self, config: Config, task_weights: dict[str, float]):
        super().__init__()
        for task, weight in task_weights.items():
            if task not in TASKS or not weight > 0:
                raise ValueError(f"task weight {task}: {weight}: a task is one of {', '.join(TASKS)}, its weight above 0")
        self.config = config
        self.task_weights = dict(task_weights)

    def task_loss(self, outputs: dict[str, Tensor], labels: dict[str, Tensor]) -> Tensor:
        """Weighted sum over tasks of the mean error (CH-SIMS, equation 4, first term), over the labels that are present.

        This loss on the validation split chooses the epoch.
        outputs and labels : {task: Tensor [shape=(B,)]}; an absent label is NaN and counts in no mean.
        """
        total = torch.zeros((), device=next(iter(outputs.values())).device)
        for task, weight in self.task_weights.items():
            present = ~torch.isnan(labels[task])
            # Masked, not chosen: how many there are must not be waited for. Without any the mean would be 0 / 0.
            error = (outputs[task] - labels[task].nan_to_num()).masked_fill(~present, 0)
            error = error.square() if self.squared_error else error.abs()
            total = total + weight * error.sum() / present.sum().clamp_min(1)
        return total

    def loss(self, outputs: dict[str, Tensor], labels: dict[str, Tensor]) -> Tensor:
        """What training minimises: `task_loss`, to which a system may add terms."""
        return self.task_loss(outputs, labels)

    def training_loss(self, clips: Clips, indices: np.ndarray | Tensor) -> Tensor:
        """Loss of the training batch with the clips at `indices`; a system that compares clips may fetch more of them."""
        return self.loss(self(clips.batch(indices)), clips.batch_labels(indices))

    def begin_epoch(self, epoch: int, clips: Clips, train: np.ndarray) -> None:
        """Called before each epoch, counted from 1, with the indices of the train split."""

    @classmethod
    def means_suffice(cls, config: Config) -> tuple[str, ...]:
        """Modalities of which the system uses the mean over time alone; they may come as sequences of that one frame."""
        return ()

    def generated_labels(self) -> dict[str, Tensor]:
        """Labels that the system made for itself, as they are after an epoch: {task: Tensor [shape=(clips of train,)]}."""
        return {}

    def parameter_groups(self) -> list[dict]:
        """Groups of parameters for the optimiser, each with its own weight decay or learning rate."""
        return [{"params": list(self.parameters()), "weight_decay": self.config.weight_decay}]


ConfigType = typing.TypeVar("ConfigType")


def build_config(config_class: type[ConfigType], values: dict) -> ConfigType:
    """Make a system's configuration of plain values.

    Raises ValueError naming the key when one is unknown, missing, or of another type than declared.
    """
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    for key in values:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(fields)}"
            raise ValueError(f"unknown key '{key}'; {hint}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ValueError(f"missing key '{name}'")
    hints = typing.get_type_hints(config_class)
    return config_class(**{key: _typed(key, value, hints[key]) for key, value in values.items()})


def _typed(key: str, value: object, kind: type) -> object:
    if typing.get_origin(kind) is dict and isinstance(value, dict):
        key_kind, value_kind = typing.get_args(kind)
        return {_typed(key, name, key_kind): _typed(f"{key}.{name}", item, value_kind) for name, item in value.items()}
    if typing.get_origin(kind) is list and isinstance(value, list):
        return [_typed(key, item, typing.get_args(kind)[0]) for item in value]
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        # YAML reads 5e-4 as text: say so, as nothing in the file looks wrong.
        hint = " (write 0.0005, not 5e-4)" if kind is float and isinstance(value, str) else ""
        said = kind if typing.get_origin(kind) else kind.__name__
        raise ValueError(f"key '{key}': {value!r} is not of type {said}{hint}")
    return value


def require_modalities(key: str, values: dict) -> None:
    """Raise ValueError unless `values` (the value of config key `key`) has exactly one entry per modality."""
    if set(values) != set(MODALITIES):
        raise ValueError(f"key '{key}' needs one value for each of {', '.join(MODALITIES)}, not for: {', '.join(values)}")
