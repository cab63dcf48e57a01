"""The labels that Self-MM makes over some epochs, in both codes: features by rule, batches in another order each time."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.self_mm import LabelGeneration
from models.system import TASK_MODALITY, TASKS
from tests.reference.mmsa import trainer_of

CLIPS, EPOCHS, BATCH, BOUND = 40, 7, 8, 1.0
WIDTHS = {"M": 9, "T": 6, "A": 4, "V": 5}
THEIRS = {"M": "fusion", "T": "text", "A": "audio", "V": "vision"}


def labels_at_first() -> Tensor:
    """In steps of .2, as in CH-SIMS: some are 0."""
    return torch.randint(-5, 6, (CLIPS,), generator=torch.Generator().manual_seed(4)) / 5


def batches() -> list[list[tuple[Tensor, dict[str, Tensor]]]]:
    """For each epoch its batches: clips, and the features of each task; features lean to the side of the label."""
    random, side = torch.Generator().manual_seed(5), labels_at_first()[:, None]
    epochs = []
    for _ in range(EPOCHS):
        features = {task: (torch.randn(CLIPS, width, generator=random) + side).relu() for task, width in WIDTHS.items()}
        order = torch.randperm(CLIPS, generator=random).split(BATCH)
        epochs.append([(clips, {task: values[clips] for task, values in features.items()}) for clips in order])
    return epochs


def labels_of_ours() -> list[dict[str, Tensor]]:
    """Labels of T, A and V after each epoch."""
    generation = LabelGeneration(np.arange(CLIPS), labels_at_first(), WIDTHS, (-BOUND, BOUND))
    found = []
    for epoch, parts in enumerate(batches(), start=1):
        for clips, features in parts:
            generation.update(generation.rows(clips), features, epoch if epoch > 1 else None)
        found.append({task: generation.labels[task].clone() for task in TASK_MODALITY})
    return found


def labels_of_mmsa(folder: Path) -> list[dict[str, Tensor]]:
    """The same, of MMSA's trainer."""
    published = trainer_of(folder, "multiTask.SELF_MM").SELF_MM
    trainer = object.__new__(published)  # it would ask for metrics and a device
    trainer.args = Namespace(excludeZero=True, H=BOUND)
    trainer.feature_map = {THEIRS[task]: torch.zeros(CLIPS, width) for task, width in WIDTHS.items()}
    trainer.center_map = {name: {} for name in THEIRS.values()}
    trainer.label_map = {name: torch.zeros(CLIPS) for name in THEIRS.values()}
    trainer.init_labels(torch.arange(CLIPS), labels_at_first())
    found = []
    for epoch, parts in enumerate(batches(), start=1):
        for clips, features in parts:
            values = [features[task] for task in TASKS]
            if epoch > 1:
                trainer.update_labels(*values, epoch, clips, None)
            trainer.update_features(*values, clips)
            trainer.update_centers()
        found.append({task: trainer.label_map[THEIRS[task]].clone() for task in TASK_MODALITY})
    return found
