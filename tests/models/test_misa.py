"""MISA: its losses by hand, its front against the textbook, and what its loss adds."""

import pytest
import torch
from torch import nn

from models.misa import MISA, MISAConfig, StackedLSTM, central_moment_discrepancy, difference_loss
from models.system import Sequences, build_config
from tests.models.small import random_batch, small_encoder

WIDTHS = {"text": 16, "audio": 5, "vision": 7}
LENGTHS = {"text": 6, "audio": 9, "vision": 4}
VALUES = {
    "hidden": {"audio": 3, "vision": 4},
    "width": 8,
    "heads": 2,
    "feed_forward": 12,
    "transformer_dropout": 0.0,
    "output_dropout": 0.0,
    "similarity_weight": 1.0,
    "difference_weight": 0.3,
    "reconstruction_weight": 0.8,
    "batch_size": 4,
    "learning_rate": 0.001,
    "encoder_learning_rate": 0.0001,
}


def make_system(**changes):
    torch.manual_seed(0)
    config = build_config(MISAConfig, VALUES | changes)
    return MISA(config, WIDTHS, LENGTHS, small_encoder(config))


def make_batch(clips=4):
    return random_batch(WIDTHS, LENGTHS, clips)


def test_discrepancy_by_hand():
    first, second = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [0.0]])
    # The means differ by 1/2, the central moments 2 to 5 by 1/4, 0, 1/16 and 0.
    assert central_moment_discrepancy(first, second).item() == pytest.approx(0.8125)
    assert central_moment_discrepancy(first, second, moments=2).item() == pytest.approx(0.75)


def test_discrepancy_of_equal_distributions_is_zero():
    vectors = torch.rand(6, 3, generator=torch.Generator().manual_seed(0))
    assert central_moment_discrepancy(vectors, vectors[[3, 1, 5, 0, 2, 4]]).item() == pytest.approx(0.0, abs=1e-6)


def test_difference_by_hand():
    # Centred: (-1, 0), (1, 0) and (-2, -2), (2, 2); of length 1: the same and (-r, -r), (r, r) with r^2 = 1/2.
    first, second = torch.tensor([[0.0, 5.0], [2.0, 5.0]]), torch.tensor([[1.0, 2.0], [5.0, 6.0]])
    # The products of the columns are [[2 r, 2 r], [0, 0]]; the mean of their squares is (2 + 2) / 4.
    assert difference_loss(first, second).item() == pytest.approx(1.0, rel=1e-5)


def test_difference_holds_the_lengths_fixed():
    """Of the second degree in each vector, if no gradient goes through its length (Euler's theorem)."""
    torch.manual_seed(0)
    first, second = torch.randn(6, 4, requires_grad=True), torch.randn(6, 4)
    loss = difference_loss(first, second)
    loss.backward()
    centred = (first - first.mean(0)).detach()
    assert (first.grad * centred).sum().item() == pytest.approx(2 * loss.item(), rel=1e-4)


def test_difference_of_orthogonal_spaces_is_zero():
    """Over the clips, no column of one set goes along with a column of the other."""
    first = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    second = torch.tensor([[0.0, 1.0], [0.0, -1.0], [0.0, 1.0], [0.0, -1.0]])
    assert difference_loss(first + 3.0, second - 2.0).item() == pytest.approx(0.0, abs=1e-12)
    assert difference_loss(first, first).item() > 0.1


def test_stacked_lstm_is_that_of_each_clip_alone():
    torch.manual_seed(0)
    stacked = StackedLSTM(5, 3)
    batch = make_batch()["audio"]
    with torch.no_grad():
        vectors = stacked(batch)
        for clip, length in enumerate(batch.lengths.tolist()):
            alone = Sequences(batch.values[clip : clip + 1, :length], batch.lengths[clip : clip + 1])
            states, first = stacked.first(alone)
            _, second = stacked.second(Sequences(nn.functional.layer_norm(states, (6,)), alone.lengths))
            assert torch.allclose(vectors[clip], torch.cat([first, second], dim=1)[0], atol=1e-6)


def test_loss_is_the_weighted_sum_of_the_four():
    labels = {"M": torch.tensor([0.5, -0.5, torch.nan, 1.0])}
    outputs = make_system()(make_batch())
    t, a, v = outputs["shared"].unbind(1)
    p, q, r = outputs["private"].unbind(1)
    similarity = sum(central_moment_discrepancy(*pair) for pair in ((t, a), (t, v), (a, v))) / 3
    difference = sum(difference_loss(*pair) for pair in ((t, p), (a, q), (v, r), (p, q), (p, r), (q, r)))
    reconstruction = (outputs["restored"] - outputs["vectors"]).square().mean()
    task = (outputs["M"] - labels["M"])[[0, 1, 3]].square().mean()
    expected = task + similarity + 0.3 * difference + 0.8 * reconstruction
    assert make_system().loss(outputs, labels).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_batch_of_one_clip_has_finite_gradients():
    system = make_system()
    system.loss(system(make_batch(1)), {"M": torch.tensor([0.5])}).backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in system.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"heads": 3}, "'width'"), ({"hidden": {"text": 3, "audio": 3, "vision": 3}}, "'hidden'")],
)
def test_a_wrong_value_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        make_system(**changes)
