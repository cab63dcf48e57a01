"""A system and its reference: the same small network built in both codes, with the same weights."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import load_system
from models.self_mm import SelfMM
from models.system import TASKS, System, build_config
from models.text_encoder import TextEncoder
from tests.reference.rule import LENGTH, WIDTHS, batch_of, fill, frames, labels, small_bert

Weights = list[tuple[str, str, Callable[[Tensor], Tensor]]]  # our name, the reference's, how ours becomes the reference's


def same(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True)
class Reference:
    """A system in both codes.

    values : of our configuration. source : what the numbers were made with. folder : the variable that names its folder.
    build : the reference's network, from that folder. run : its outputs for frames by rule, {task: Tensor [shape=(B,)]}.
    weights : how ours become the reference's. own_loss : the reference's, of a network that was given a batch, if it is more
    than its tasks' errors. zero : parameters of ours that the reference has not. text_width : of the states of the text
    encoder, for a system that has one of its own. tolerance : relative, of loss and gradients.
    """

    values: dict
    source: str
    folder: str
    build: Callable[[Path], nn.Module]
    run: Callable[[nn.Module], dict[str, Tensor]]
    weights: Callable[[], Weights]
    own_loss: Callable[[Path, nn.Module, dict[str, Tensor]], Tensor] | None = None
    zero: tuple[str, ...] = ()
    text_width: int = 0
    tolerance: float = 1e-5


def ours(name: str, reference: Reference) -> System:
    """Our system of the same size, with weights by rule."""
    base = {"batch_size": 4, "learning_rate": 1e-3, "early_stop": 1, "max_epochs": 1}
    system_class = load_system(name)
    if reference.text_width:
        base["encoder_learning_rate"] = 1e-3
    config = build_config(system_class.config_class, base | reference.values)
    encoder = [TextEncoder(small_bert(reference.text_width), config)] if reference.text_width else []
    system = system_class(config, WIDTHS, dict.fromkeys(WIDTHS, LENGTH), *encoder)
    system.label_range = (-3.0, 3.0)
    fill(system)
    with torch.no_grad():
        for name in reference.zero:
            system.get_parameter(name).zero_()
    return system


def loss_of(outputs: dict[str, Tensor], tasks: list[str]) -> Tensor:
    """The sum of the mean absolute errors of the tasks."""
    return sum(F.l1_loss(outputs[task], labels()[task]) for task in tasks)


def our_loss(system: System, reference: Reference) -> Tensor:
    """Of a training step: the system's own, where its reference has one, else that of the tasks alone."""
    outputs = system(batch_of(frames()))
    return system.loss(outputs, labels()) if reference.own_loss else loss_of(outputs, tasks_of(system))


def their_loss(reference: Reference, folder: Path, network: nn.Module, tasks: list[str]) -> Tensor:
    outputs = reference.run(network)
    return reference.own_loss(folder, network, outputs) if reference.own_loss else loss_of(outputs, tasks)


def with_weights_of(system: System, network: nn.Module, weights: Weights) -> None:
    """Copy our weights into the reference's network."""
    own, theirs = dict(system.named_parameters()), dict(network.named_parameters())
    with torch.no_grad():
        for name, other, change in weights:
            part(theirs, other).copy_(change(own[name]))
    mapped = {name for name, _, _ in weights}
    zero = {name for name, values in own.items() if not values.any()}
    assert mapped == set(own) - zero, mapped ^ set(own)


def tasks_of(system: System) -> list[str]:
    """Those that a system predicts: Self-MM learns one of them from labels, and three from what it makes of them."""
    return list(TASKS) if isinstance(system, SelfMM) else list(system.task_weights)


def part(values: dict[str, Tensor], name: str) -> Tensor:
    """A tensor by its name; a third of it if the name ends with [i], its columns before or from i with [:i] or [i:]."""
    if not name.endswith("]"):
        return values[name]
    whole, _, place = name[:-1].partition("[")
    if ":" not in place:
        return values[whole].chunk(3)[int(place)]
    before, after = (int(number) if number else None for number in place.split(":"))
    return values[whole][:, before:after]


def without_dropout(network: nn.Module) -> None:
    """That of a transformer layer, which no argument turns off."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
