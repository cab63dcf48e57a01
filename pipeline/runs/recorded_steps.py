"""Training steps on a GPU, recorded once and replayed.

A step of LF-DNN is some 250 operations, one of MulT 2,800, and the GPU is done with each sooner than Python can ask for the
next: it idled for 74 to 94 % of an epoch. A recorded step (a CUDA graph) is asked for as a whole.

A recording holds for one number of clips and of frames. Batches are padded further than to their longest clip, so that few
numbers of frames occur; padding changes no output. The first batch of each kind is trained on as it comes, which also makes
all that lasts longer than a step (gradients, the optimiser's state); the second is recorded. What a batch has of its own, its
clips' indices, is written to where the recording reads them. Nothing is waited for until the epoch's end.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from models.system import System
from pipeline.runs.data import Dataset
from pipeline.runs.steps import add_gradient, descend


def padded_length(frames: int, longest: int) -> int:
    """The next power of the square root of 2, rounded up; at most the frames of the longest clip of the corpus."""
    return min(longest, math.ceil(2 ** (math.ceil(2 * math.log2(frames) - 1e-9) / 2)))


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """On a GPU, all that is asked for within goes to a stream of its own: the default one cannot be recorded."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        yield
    torch.cuda.synchronize()


def record(work: Callable[[], None], memory: tuple[int, int]) -> torch.cuda.CUDAGraph:
    """The operations that `work` asks for, of which none is done before the recording is replayed."""
    recording = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recording, pool=memory, stream=torch.cuda.current_stream()):
        work()
    return recording


class RecordedSteps:
    """What `pipeline.runs.steps.train_epoch` does, by recordings.

    Parameters
    ----------
    system : System
        One that `repeats_steps`.
    optimizer : torch.optim.Optimizer
        Its step reads nothing of the host's: Adam with `capturable`, learning rates as tensors.
    dataset : Dataset
        On a GPU.
    """

    def __init__(self, system: System, optimizer: torch.optim.Optimizer, dataset: Dataset):
        self.system, self.optimizer, self.dataset = system, optimizer, dataset
        self.device = dataset.offsets["text"].device
        self.recordings: dict[tuple, torch.cuda.CUDAGraph | None] = {}  # None: done once, unrecorded
        self.memory = torch.cuda.graph_pool_handle()  # one for all, as only one of them runs at a time
        self.chosen: dict[int, torch.Tensor] = {}  # where recordings read a batch's indices, by its number of clips
        self.total = torch.zeros((), dtype=torch.float64, device=self.device)

    def train_epoch(self, batches: list[np.ndarray]) -> float:
        """One pass over the clips in `batches`; returns the mean training loss."""
        self.system.train()
        self.total.zero_()
        order = torch.as_tensor(np.concatenate(batches), device=self.device)
        batch_ends = set(range(self.system.config.accumulate - 1, len(batches), self.system.config.accumulate))
        done = 0
        for place, indices in enumerate(batches):
            self._add_gradient(indices, order[done : done + len(indices)])
            done += len(indices)
            if place in batch_ends or place == len(batches) - 1:
                self._run(("descend", self.system.stage), self._descend)
        return self.total.item() / done

    def _add_gradient(self, indices: np.ndarray, on_device: torch.Tensor) -> None:
        lengths = {modality: int(self.dataset.lengths(modality)[indices].max()) for modality in self.dataset.values}
        frames = {modality: padded_length(length, self.dataset.longest_read(modality)) for modality, length in lengths.items()}
        chosen = self.chosen.setdefault(len(indices), torch.empty_like(on_device))
        chosen.copy_(on_device)
        clips = self.dataset.padded_to(frames)
        kind = (self.system.stage, len(indices), *frames.values())
        self._run(kind, lambda: add_gradient(self.system, clips, chosen, self.total))

    def _descend(self) -> None:
        descend(self.system, self.optimizer)
        self.optimizer.zero_grad(set_to_none=False)  # recordings add to the gradients where they lie

    def _run(self, kind: tuple, work: Callable[[], None]) -> None:
        if kind not in self.recordings:
            work()
            self.recordings[kind] = None
            return
        if self.recordings[kind] is None:
            self.recordings[kind] = record(work, self.memory)
        self.recordings[kind].replay()
