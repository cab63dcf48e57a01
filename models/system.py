"""What every system is: a batch of ragged sequences in, one number per clip and task out.

Modalities are ``text``, ``audio`` and ``vision``; tasks are the labels ``M`` (multimodal), ``T``, ``A`` and ``V`` (one
modality each). A system is one file with a configuration (a frozen dataclass, subclass of `Config`) and a `System`.
"""

import dataclasses
import difflib
import typing
from dataclasses import dataclass

import torch
from torch import Tensor, nn

MODALITIES = ("text", "audio", "vision")
TASKS = ("M", "T", "A", "V")
TASK_MODALITY = {"T": "text", "A": "audio", "V": "vision"}


class Sequences(typing.NamedTuple):
    """One modality of a batch.

    values : Tensor [shape=(B, L, D)], zero beyond a clip's last frame. lengths : Tensor [shape=(B,)], int64, at least 1.
    """

    values: Tensor
    lengths: Tensor

    @property
    def mask(self) -> Tensor:
        """True frames: bool Tensor [shape=(B, L)]."""
        return torch.arange(self.values.shape[1], device=self.lengths.device) < self.lengths[:, None]


Batch = dict[str, Sequences]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Training settings that all systems share (CH-SIMS, section 5.2); every system adds its own."""

    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    early_stop: int = 8  # epochs without a better validation loss before training ends
    max_epochs: int = 100
    gradient_clip: float = 0.0  # largest norm of the gradient; 0 leaves it as it is
    accumulate: int = 1  # batches per optimiser step


class System(nn.Module):
    """Base of all systems.

    Subclasses take ``(config, widths, lengths)``: their configuration, the width of each modality's frames and the
    largest number of frames of each modality in the corpus; and define ``forward(batch) -> {task: Tensor [shape=(B,)]}``.

    Parameters
    ----------
    config : Config
    task_weights : dict of str to float
        Weight of each task in the loss; its keys are the tasks the system predicts.
    """

    config_class: type[Config]

    def __init__(self, config: Config, task_weights: dict[str, float]):
        super().__init__()
        for task, weight in task_weights.items():
            if task not in TASKS or not weight > 0:
                raise ValueError(f"task weight {task}: {weight}: a task is one of {', '.join(TASKS)}, its weight above 0")
        self.config = config
        self.task_weights = dict(task_weights)

    def loss(self, outputs: dict[str, Tensor], labels: dict[str, Tensor]) -> Tensor:
        """Weighted sum over tasks of the L1 loss (CH-SIMS, equation 4, first term), over the labels that are present.

        outputs and labels : {task: Tensor [shape=(B,)]}; an absent label is NaN and counts in no mean.
        """
        total = torch.zeros((), device=next(iter(outputs.values())).device)
        for task, weight in self.task_weights.items():
            present = ~torch.isnan(labels[task])
            # Of a batch without any label of the task the mean would be 0 / 0.
            error = (outputs[task] - labels[task])[present].abs().sum() / present.sum().clamp_min(1)
            total = total + weight * error
        return total

    def parameter_groups(self) -> list[dict]:
        """Groups of parameters for the optimiser, each with its own weight decay or learning rate."""
        return [{"params": list(self.parameters()), "weight_decay": self.config.weight_decay}]


ConfigType = typing.TypeVar("ConfigType", bound=Config)


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
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        # YAML reads 5e-4 as text: say so, as nothing in the file looks wrong.
        raise ValueError(f"key '{key}': {value!r} is not of type {getattr(kind, '__name__', kind)} (write 0.0005, not 5e-4)")
    return value


def require_modalities(key: str, values: dict) -> None:
    """Raise ValueError unless `values` (the value of config key `key`) has exactly one entry per modality."""
    if set(values) != set(MODALITIES):
        raise ValueError(f"key '{key}' needs one value for each of {', '.join(MODALITIES)}, not for: {', '.join(values)}")
