"""PS-Mixer: its losses by hand, and that the strength scales the output."""

import pytest
import torch

from models.ps_mixer import Communicator, PSMixer, PSMixerConfig, polar_loss, strength_loss
from models.system import build_config
from tests.models.small import random_batch, small_encoder

WIDTHS = {"text": 16, "audio": 5, "vision": 7}
LENGTHS = {"text": 6, "audio": 9, "vision": 4}
VALUES = {
    "hidden": {"audio": 3, "vision": 4},
    "width": 8,
    "mixer_hidden": 6,
    "mixer_depth": 1,
    "mixer_dropout": 0.0,
    "output_dropout": 0.0,
    "polar_weight": 0.1,
    "strength_weight": 0.2,
    "batch_size": 4,
    "learning_rate": 0.001,
    "encoder_learning_rate": 0.0001,
}


def make_system():
    torch.manual_seed(0)
    config = build_config(PSMixerConfig, VALUES)
    return PSMixer(config, WIDTHS, LENGTHS, small_encoder(config))


def make_batch(clips=4):
    return random_batch(WIDTHS, LENGTHS, clips)


def test_polar_loss_by_hand():
    polar = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    labels = torch.tensor([0.5, 0.0, -1.0])
    assert polar_loss(polar, torch.tensor([0.1, 0.2, -0.3]), labels).item() == pytest.approx(0.0, abs=1e-6)
    # All are called positive: (1, 1) against (1, 2), and no clip is called negative.
    expected = 2 / 3 * (1 - 3 / (2**0.5 * 5**0.5))
    assert polar_loss(polar, torch.tensor([0.1, 0.2, 0.3]), labels).item() == pytest.approx(expected)
    # Clip 1 is called negative: (1, 1) against (1, 0); (0, 1) against (0, 2) points the same way.
    expected = 2 / 3 * (1 - 1 / 2**0.5)
    assert polar_loss(polar, torch.tensor([0.1, -0.2, -0.3]), labels).item() == pytest.approx(expected)


def test_strength_loss_is_one_minus_the_correlation_with_the_size_of_the_label():
    labels = torch.tensor([-1.0, 0.0, 0.5])
    assert strength_loss(torch.tensor([30.0, 10.0, 20.0]), labels).item() == pytest.approx(0.0, abs=1e-6)
    assert strength_loss(torch.tensor([1.0, 3.0, 2.0]), labels).item() == pytest.approx(2.0)
    assert strength_loss(torch.tensor([3.0]), torch.tensor([0.5])).item() == 1.0


def test_communicator_that_mixes_nothing_normalises():
    communicator = Communicator(3, 4, 2, 0.0).train()
    with torch.no_grad():
        for parameter in communicator.parameters():
            parameter.zero_()
    first, second = torch.randn(5, 3), 7.0 + torch.randn(5, 3)
    mixed = communicator(first, second).unflatten(1, (2, 3))
    for index, vectors in enumerate((first, second)):
        expected = (vectors - vectors.mean()) / (vectors.var(correction=0) + 1e-5).sqrt()
        assert torch.allclose(mixed[:, index], expected, atol=1e-5)


def test_output_is_proportional_to_the_strength_and_not_to_the_size_of_the_polar_vector():
    class Scaled(torch.nn.Module):
        def __init__(self, module, factor):
            super().__init__()
            self.module, self.factor = module, factor

        def forward(self, *vectors):
            return self.factor * self.module(*vectors)

    system, batch = make_system().eval(), make_batch()
    with torch.no_grad():
        expected = system(batch)["M"]
        system.strength = Scaled(system.strength, 3.0)
        assert torch.allclose(system(batch)["M"], 3 * expected, rtol=1e-5)
        system.polar = Scaled(system.polar, 5.0)
        assert torch.allclose(system(batch)["M"], 3 * expected, rtol=1e-5)


def test_polar_vector_sees_no_audio_and_strength_no_vision():
    system, batch = make_system().eval(), make_batch()
    with torch.no_grad():
        expected = system(batch)
        for modality, same, other in (("audio", "polar", "strength"), ("vision", "strength", "polar")):
            changed = batch | {modality: batch[modality]._replace(values=batch[modality].values + 1.0)}
            outputs = system(changed)
            assert torch.equal(outputs[same], expected[same])
            assert not torch.allclose(outputs[other], expected[other])


def test_loss_is_the_weighted_sum_of_the_three_over_the_clips_with_a_label():
    system = make_system()
    outputs = system(make_batch())
    labels = torch.tensor([0.5, torch.nan, -0.5, 1.0])
    given = {name: values[[0, 2, 3]] for name, values in outputs.items()}
    true = labels[[0, 2, 3]]
    expected = (given["M"] - true).square().mean() + 0.1 * polar_loss(given["polar"], given["M"], true)
    expected = expected + 0.2 * strength_loss(given["strength"], true)
    assert system.loss(outputs, {"M": labels}).item() == pytest.approx(expected.item(), rel=1e-5)
    assert system.loss(outputs, {"M": torch.full((4,), torch.nan)}).item() == 0.0


def test_a_batch_of_one_clip_has_finite_gradients():
    system = make_system().train()
    system.loss(system(make_batch(1)), {"M": torch.tensor([0.5])}).backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in system.parameters())
