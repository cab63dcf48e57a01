"""The bidirectional LSTM against PyTorch's own on packed sequences."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models.recurrent import BidirectionalLSTM
from models.system import Sequences


def test_it_equals_a_packed_bidirectional_lstm_with_the_same_weights():
    torch.manual_seed(0)
    own, packed = BidirectionalLSTM(5, 3), nn.LSTM(5, 3, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for name, weight in own.forwards.named_parameters():
            getattr(packed, name).copy_(weight)
        for name, weight in own.backwards.named_parameters():
            getattr(packed, f"{name}_reverse").copy_(weight)
    frames, lengths = torch.randn(4, 9, 5), torch.tensor([9, 1, 4, 6])
    states, ends = own(Sequences(frames, lengths))
    expected, (end_states, _) = packed(pack_padded_sequence(frames, lengths, batch_first=True, enforce_sorted=False))
    expected, _ = pad_packed_sequence(expected, batch_first=True)
    torch.testing.assert_close(ends, end_states.transpose(0, 1).flatten(1))
    for clip, length in enumerate(lengths):
        torch.testing.assert_close(states[clip, :length], expected[clip, :length])
