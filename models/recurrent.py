"""A bidirectional LSTM that sees the true frames alone."""

import torch
from torch import Tensor, nn

from models.layers import last_step
from models.system import Sequences


class BidirectionalLSTM(nn.Module):
    """Two LSTMs (Hochreiter and Schmidhuber, 1997), one over the frames, one over them in reverse order.

    What `nn.LSTM(bidirectional=True)` gives for packed sequences. But each direction here runs over a padded batch, for
    which PyTorch has a kernel many times as fast on CPUs; in both the true frames come first, so that nothing of the
    padding is seen before them.
    """

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.forwards = nn.LSTM(width, hidden, batch_first=True)
        self.backwards = nn.LSTM(width, hidden, batch_first=True)

    def forward(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """States at each frame, both directions joined [B, L, 2 hidden], and end states of both joined [B, 2 hidden]."""
        values, lengths = sequences
        forwards, _ = self.forwards(values)
        reverse = reversed_steps(values.shape[1], lengths)
        backwards, _ = self.backwards(take_steps(values, reverse))
        ends = torch.cat([last_step(forwards, lengths), last_step(backwards, lengths)], dim=1)
        return torch.cat([forwards, take_steps(backwards, reverse)], dim=2), ends


def reversed_steps(length: int, lengths: Tensor) -> Tensor:
    """For each clip the steps from its last true one to its first, then the padding as it is: int64 [B, L]."""
    step = torch.arange(length, device=lengths.device).expand(len(lengths), -1)
    return torch.where(step < lengths[:, None], lengths[:, None] - 1 - step, step)


def take_steps(values: Tensor, steps: Tensor) -> Tensor:
    """The frames of each clip at `steps`: [B, L, D], [B, L] -> [B, L, D]."""
    return values[torch.arange(len(values), device=values.device)[:, None], steps]
