"""ConFEDE's contrast in both codes, on decomposed vectors by rule.

CONFEDE_FOLDER: github.com/XpastaX/ConFEDE; it needs `pip install --no-deps pytorch-metric-learning`.
"""

from pathlib import Path

import torch
from torch import Tensor

from models.contrast import COMPANIONS, NEIGHBOURS, contrastive_loss
from tests.reference.repositories import module_of

ANCHORS, WIDTH, TEMPERATURE = 3, 8, 0.5
CLIPS = ANCHORS * (1 + COMPANIONS)  # an anchor and its companions, one after another


def vectors() -> tuple[Tensor, Tensor]:
    """C_m and F_m, each [CLIPS, 3, WIDTH], with room for a gradient."""
    random = torch.Generator().manual_seed(6)
    close, far = (torch.randn(CLIPS, 3, WIDTH, generator=random).requires_grad_() for _ in range(2))
    return close, far


def loss_of_ours() -> tuple[float, list[float]]:
    """The loss, and the norms of its gradients."""
    close, far = vectors()
    rows = torch.arange(CLIPS).view(ANCHORS, -1)
    loss = contrastive_loss(close, far, rows[:, 0], rows[:, 1:], TEMPERATURE)
    loss.backward()
    return loss.item(), [close.grad.norm().item(), far.grad.norm().item()]


def loss_of_confede(folder: Path) -> tuple[float, list[float]]:
    """The same, of the public code's loss; which pairs it is given stands in its TVA_fusion.py."""
    code = module_of(folder, "SIMS/util/metrics.py").cont_NTXentLoss(temperature=TEMPERATURE)
    close, far = vectors()
    clips = 1 + COMPANIONS
    place = {("C", m): m * clips for m in range(3)} | {("F", m): (3 + m) * clips for m in range(3)}
    positive = [(place["C", m], place["C", m] + clip) for m in range(3) for clip in range(1, 1 + NEIGHBOURS)]
    negative = [(place["C", m], place["C", m] + clip) for m in range(3) for clip in range(1 + NEIGHBOURS, clips)]
    positive += [(clip, place["C", m] + clip) for m in (1, 2) for clip in range(clips)]
    negative += [(clip, place["F", m] + clip) for m in range(3) for clip in range(clips)]
    pairs = [torch.tensor(side) for kind in (positive, negative) for side in zip(*kind, strict=True)]
    total = 0.0
    for first in range(0, CLIPS, clips):
        parts = [states[first : first + clips].transpose(0, 1).flatten(0, 1) for states in (close, far)]
        cosines = code.distance(torch.cat(parts))
        found = code._compute_loss(cosines[pairs[0], pairs[1]], cosines[pairs[2], pairs[3]], tuple(pairs))
        total = total + found["loss"]["losses"].mean() / ANCHORS
    total.backward()
    return total.item(), [close.grad.norm().item(), far.grad.norm().item()]
