"""Training steps, one after the other."""

import numpy as np
import torch

from models.system import Clips, System
from pipeline.runs.data import Dataset


def add_gradient(system: System, clips: Clips, chosen: np.ndarray | torch.Tensor, total: torch.Tensor) -> None:
    """Add the gradient of a batch to what is there, clip its entries, and add its loss, times its clips, to `total`."""
    config, device = system.config, total.device.type
    # What autocast keeps between batches would be lost to steps that a GPU replays.
    with torch.autocast(device, torch.bfloat16, enabled=config.precision == "bf16", cache_enabled=device == "cpu"):
        loss = system.training_loss(clips, chosen)
    loss.backward()
    total += loss.detach().double() * len(chosen)
    if config.gradient_clip_value:
        torch.nn.utils.clip_grad_value_(system.parameters(), config.gradient_clip_value)


def descend(system: System, optimizer: torch.optim.Optimizer) -> None:
    """Clip the gradient's norm and take the optimiser's step."""
    if system.config.gradient_clip:
        torch.nn.utils.clip_grad_norm_(system.parameters(), system.config.gradient_clip)
    optimizer.step()


def train_epoch(system: System, optimizer: torch.optim.Optimizer, dataset: Dataset, batches: list[np.ndarray]) -> float:
    """One pass over the clips in `batches`; returns the mean training loss.

    Gradients of the batches of one step are added up, and entries clipped after each batch, as in MMSA's trainers.
    """
    system.train()
    accumulate = system.config.accumulate
    # Read at the end alone: a GPU would be waited for.
    total = torch.zeros((), dtype=torch.float64, device=dataset.offsets["text"].device)
    for start in range(0, len(batches), accumulate):
        optimizer.zero_grad()
        for chosen in batches[start : start + accumulate]:
            add_gradient(system, dataset, chosen, total)
        descend(system, optimizer)
    return total.item() / sum(len(chosen) for chosen in batches)
