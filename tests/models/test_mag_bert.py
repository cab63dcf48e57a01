"""MAG-BERT: the adaptation gate by hand, and its place in the encoder."""

import pytest
import torch

from models.mag_bert import MAGBERT, AdaptationGate, MAGBERTConfig, displacement_scale
from models.system import Sequences, build_config
from tests.models.small import random_batch, small_encoder

WIDTHS = {"text": 16, "audio": 5, "vision": 7}
LENGTHS = {"text": 6, "audio": 9, "vision": 4}
VALUES = {
    "beta": 1.0,
    "gate_dropout": 0.0,
    "output_dropout": 0.0,
    "batch_size": 3,
    "learning_rate": 0.001,
    "encoder_learning_rate": 0.0001,
}


def make_system(**changes):
    torch.manual_seed(0)
    config = build_config(MAGBERTConfig, VALUES | changes)
    return MAGBERT(config, WIDTHS, LENGTHS, small_encoder(config))


def make_batch():
    return random_batch(WIDTHS, LENGTHS, 4)


def test_displacement_is_at_most_beta_times_the_embedding():
    embedded = torch.tensor([[[3.0, 4.0], [3.0, 4.0], [0.0, 0.0]]])
    displacement = torch.tensor([[[0.0, 10.0], [1.0, 0.0], [1.0, 1.0]]])
    scale = displacement_scale(embedded, displacement, beta=1.0).flatten()
    assert torch.allclose(scale, torch.tensor([0.5, 1.0, 0.0]), atol=1e-6)
    assert displacement_scale(embedded, displacement, beta=0.5)[0, 0].item() == pytest.approx(0.25)


def test_gate_by_hand():
    gate = AdaptationGate(2, {"audio": 1, "vision": 1}, beta=1.0, dropout=0.0)
    with torch.no_grad():
        for parameter in gate.parameters():
            parameter.zero_()
        gate.norm.weight.fill_(1.0)
        gate.gates["audio"].weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))  # opened by a, and by z_1
        gate.gates["vision"].bias.copy_(torch.tensor([-1.0, 0.5]))  # the first entry stays shut
        gate.shifts["audio"].weight.fill_(2.0)
        gate.shifts["vision"].weight.fill_(1.0)
        gate.bias.copy_(torch.tensor([0.0, 1.0]))
    frames = {m: Sequences(torch.tensor([[[value]]]), torch.tensor([1])) for m, value in (("audio", 3.0), ("vision", 4.0))}
    # g_a = (3, 1), W_a a = (6, 6); g_v = (0, 0.5), W_v v = (4, 4): h = (18, 6) + (0, 2) + (0, 1) = (18, 9).
    embedded = torch.tensor([[[1.0, 2.0]]])
    alpha = 5**0.5 / (18**2 + 9**2) ** 0.5  # 1 / 9
    moved = torch.tensor([1.0 + 18 * alpha, 2.0 + 9 * alpha])
    assert moved.tolist() == pytest.approx([3.0, 3.0])
    gate.norm = torch.nn.Identity()  # of two equal entries nothing would be left
    assert gate(embedded, frames).flatten().tolist() == pytest.approx(moved.tolist(), abs=1e-5)


@pytest.mark.parametrize("alignment", ["ctc", "avg_pool"])
def test_a_gate_that_adds_nothing_leaves_bert_with_a_pooler(alignment):
    system = make_system(alignment=alignment).eval()
    with torch.no_grad():
        for shift in system.gate.shifts.values():
            shift.weight.zero_()
        batch = make_batch()
        embedded = system.gate.norm(system.encoder.embed(batch["tokens"]))
        first = system.encoder.encode(embedded, batch["tokens"].mask)[:, 0]
        expected = system.output(system.pooler(first)).flatten()
        assert torch.allclose(system(batch)["M"], expected, atol=1e-6)


def test_audio_and_vision_reach_the_output():
    system, batch = make_system().eval(), make_batch()
    for modality in ("audio", "vision"):
        batch[modality].values.requires_grad_()
    system(batch)["M"].sum().backward()
    assert all(batch[modality].values.grad.any() for modality in ("audio", "vision"))


def test_tokens_may_be_padded_further_than_the_text():
    system, batch = make_system().eval(), make_batch()
    tokens = Sequences(torch.nn.functional.pad(batch["tokens"].values, (0, 3), value=39), batch["tokens"].lengths)
    with torch.no_grad():
        assert torch.allclose(system(batch | {"tokens": tokens})["M"], system(batch)["M"], atol=1e-6)


def test_frozen_layers_are_refused():
    with pytest.raises(ValueError, match="'frozen_layers'"):
        make_system(frozen_layers=1)
