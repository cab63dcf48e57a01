"""Blocks that several systems share."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.system import Batch, Sequences


class SubNet(nn.Sequential):
    """Audio and vision network: [B, width] -> [B, hidden].

    CH-SIMS, section 4.1: "a deep neural network with three hidden layers"; batch normalisation and dropout before them
    as in Zadeh et al., TFN (EMNLP 2017).
    """

    def __init__(self, width: int, hidden: int, dropout: float):
        super().__init__(
            nn.BatchNorm1d(width),
            nn.Dropout(dropout),
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )


class RecurrentSubNet(nn.Module):
    """LSTM, its last true state, dropout, linear: [B, L, width] -> [B, out].

    The text network of CH-SIMS (section 4.1); Self-MM has it for audio and vision.
    """

    def __init__(self, width: int, hidden: int, out: int, dropout: float):
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden, out)

    def forward(self, sequences: Sequences) -> Tensor:
        states, _ = self.lstm(sequences.values)
        return self.linear(self.dropout(last_step(states, sequences.lengths)))


class Head(nn.Sequential):
    """Output of a task, "a three-layer DNN" (CH-SIMS, section 4.3): [B, width] -> [B]."""

    def __init__(self, width: int, hidden: int, dropout: float):
        super().__init__(
            nn.Dropout(dropout),
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
            nn.Flatten(0),
        )


def last_step(states: Tensor, lengths: Tensor) -> Tensor:
    """The state at each clip's last true step: [B, L, H] -> [B, H].

    A recurrent network that runs forward has seen nothing of the padding there.
    """
    return states[torch.arange(len(lengths), device=states.device), lengths - 1]


def masked_mean(sequences: Sequences) -> Tensor:
    """Mean over the true frames: [B, L, D] -> [B, D]."""
    return masked_sum(sequences) / sequences.lengths[:, None]


def masked_sum(sequences: Sequences) -> Tensor:
    """Sum over the true frames: [B, L, D] -> [B, D]."""
    return sequences.values.masked_fill(~sequences.mask[..., None], 0.0).sum(1)


def masked_max(sequences: Sequences) -> Tensor:
    """Largest value over the true frames: [B, L, D] -> [B, D]."""
    return sequences.values.masked_fill(~sequences.mask[..., None], -torch.inf).amax(1)


def at_true_frames(function: Callable[[Tensor], Tensor], values: Tensor, mask: Tensor) -> Tensor:
    """What `function` makes of each true frame by itself, zeros beyond: [B, L, D] -> [B, L, H]; mask : bool [B, L].

    A processor saves the work on the padding, often a third; a GPU would have to wait to be told how much there is.
    """
    if not values.is_cpu:
        return function(values).masked_fill(~mask[..., None], 0.0)
    found = function(values[mask])
    return found.new_zeros(*mask.shape, found.shape[-1]).index_put((mask,), found)


def convolve(convolution: nn.Conv1d, sequences: Sequences) -> Tensor:
    """Convolution over time that sees zeros in place of padding: [B, L, D] -> [B, L, channels]."""
    frames = sequences.values.masked_fill(~sequences.mask[..., None], 0.0)
    return convolution(frames.transpose(1, 2)).transpose(1, 2)


def with_one(representation: Tensor) -> Tensor:
    """A 1 before each vector, so that products of modalities hold the single modalities too: [B, D] -> [B, D + 1]."""
    return F.pad(representation, (1, 0), value=1.0)


LEVELS = 256  # byte dropout draws a byte per entry, so its rate is a multiple of 1 / 256


def random_bytes(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Random uint8 numbers; 64 bits drawn at a time cost a tenth of as many draws of a dropout mask on a CPU."""
    count = math.prod(shape)
    words = torch.empty(-(-count // 8), dtype=torch.int64, device=device).random_(-(2**63), None)
    return words.view(torch.uint8)[:count].view(shape)


class _ByteDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor, dropped: int) -> Tensor:
        noise = random_bytes(values.shape, values.device)
        ctx.save_for_backward(noise)
        ctx.dropped = dropped
        return _ByteDropout.thinned(values, noise, dropped)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return _ByteDropout.thinned(gradient, *ctx.saved_tensors, ctx.dropped), None

    @staticmethod
    def thinned(values: Tensor, noise: Tensor, dropped: int) -> Tensor:
        # Comparing as numbers of the values' type is several times as fast as masks of bool.
        return noise.to(values.dtype).ge_(dropped).mul_(LEVELS / (LEVELS - dropped)).mul_(values)


def byte_dropout(values: Tensor, rate: float) -> Tensor:
    """Dropout for large tensors, several times as fast on a CPU; `rate` is rounded to a multiple of 1 / 256."""
    dropped = round(rate * LEVELS)
    return _ByteDropout.apply(values, dropped) if dropped else values


class CTCAlignment(nn.Module):
    """Frames of a modality aligned to `target_length` text positions.

    An LSTM gives each frame a distribution over "blank" and the text positions, as for connectionist temporal
    classification (Graves et al., 2006; used for alignment by Tsai et al., MulT, ACL 2019, and by CH-SIMS,
    section 5.1). It learns from the task's loss alone, as in CH-SIMS. MulT sums the frames weighted by those
    probabilities; here the weights of a position are divided by their sum, so that the aligned step is a convex
    combination of frames and its size does not grow with the clip's length.
    """

    def __init__(self, width: int, target_length: int):
        super().__init__()
        self.lstm = nn.LSTM(width, 1 + target_length, batch_first=True)  # blank first

    def weights(self, source: Sequences, steps: int, target_lengths: Tensor) -> Tensor:
        """Weight of each frame in each aligned step: Tensor [shape=(B, steps, L)], rows sum to 1, none on padding.

        steps : at most the text positions that the alignment was made for.
        """
        scores, _ = self.lstm(source.values)
        positions = scores.softmax(-1)[..., 1 : 1 + steps].transpose(1, 2)
        positions = positions.masked_fill(~source.mask[:, None], 0.0)
        return positions / positions.sum(-1, keepdim=True)


class WindowAlignment(nn.Module):
    """Each text position takes the mean of its own window of frames, the clip divided evenly among its true positions.

    The average pooling that MMSA offers in place of CTC, with windows that are local and follow the true lengths. A frame
    on the border of two windows counts in both by its share.
    """

    def weights(self, source: Sequences, steps: int, target_lengths: Tensor) -> Tensor:
        """Weight of each frame in each aligned step: Tensor [shape=(B, steps, L)], rows of true steps sum to 1."""
        frame = torch.arange(source.values.shape[1], device=source.values.device)
        step = torch.arange(steps, device=source.values.device)
        width = (source.lengths / target_lengths)[:, None, None]  # frames per step
        start = step[:, None] * width
        overlap = (torch.minimum(start + width, frame + 1.0) - torch.maximum(start, frame.float())).clamp_min(0.0)
        return overlap.masked_fill(~source.mask[:, None], 0.0) / width


class TextAligned(nn.Module):
    """A batch with audio and vision aligned to the text, one step per token.

    Parameters
    ----------
    method : 'ctc' or 'avg_pool'
    widths : dict of str to int
        Frame width of each modality.
    text_length : int
        Largest number of tokens of a clip.
    """

    def __init__(self, method: str, widths: dict[str, int], text_length: int):
        super().__init__()
        if method not in ("ctc", "avg_pool"):
            raise ValueError(f"key 'alignment': '{method}' is neither 'ctc' nor 'avg_pool'")
        self.text_length = text_length
        self.aligners = nn.ModuleDict()
        for modality in ("audio", "vision"):
            ctc = method == "ctc"
            self.aligners[modality] = CTCAlignment(widths[modality], text_length) if ctc else WindowAlignment()

    def forward(self, batch: Batch) -> Batch:
        lengths = batch["text"].lengths
        # No text is longer than the longest of the corpus; a GPU is not asked, as it would have to be waited for.
        if lengths.is_cpu and int(lengths.max()) > self.text_length:
            raise ValueError(f"a text of {int(lengths.max())} tokens, but the system was made for {self.text_length}")
        steps = min(batch["text"].values.shape[1], self.text_length)
        aligned = {"text": Sequences(batch["text"].values[:, :steps], lengths)}
        for modality, aligner in self.aligners.items():
            weights = aligner.weights(batch[modality], steps, lengths)
            frames = batch[modality].values.masked_fill(~batch[modality].mask[..., None], 0.0)
            aligned[modality] = Sequences(weights @ frames, lengths)
        return aligned
