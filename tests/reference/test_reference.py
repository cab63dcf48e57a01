"""Our systems give what the public code gives: outputs, and loss and gradients of a training step, dropout off."""

import json
import math
import os
from pathlib import Path

import pytest
import torch

from tests.reference.make_numbers import NUMBERS
from tests.reference.mmsa import REFERENCES, build, loss_of, ours, part, run, with_weights_of
from tests.reference.rule import batch_of, fill, frames, labels

FOLDER = os.environ.get("MMSA_FOLDER")
RECORDED = json.loads(NUMBERS.read_text(encoding="utf-8"))["systems"]


@pytest.fixture(autouse=True)
def without_positions(monkeypatch):
    """MMSA's MulT adds no positions to its frames, the paper does and so do we."""
    monkeypatch.setattr("models.mult.with_positions", lambda values: values * math.sqrt(values.shape[-1]))


def step(name):
    """Our system: outputs in evaluation mode, loss and gradients of a training step."""
    system = ours(name)
    fill(system)
    system.eval()
    with torch.no_grad():
        outputs = system(batch_of(frames()))
    system.train()
    loss = loss_of(system(batch_of(frames())), labels(), list(system.task_weights))
    loss.backward()
    return system, outputs, loss.item()


@pytest.mark.parametrize("name", REFERENCES)
def test_recorded_numbers(name):
    system, outputs, loss = step(name)
    recorded = RECORDED[name]
    for task, values in recorded["outputs"].items():
        assert outputs[task].tolist() == pytest.approx(values, rel=1e-5, abs=1e-6)
        assert outputs[task].std() > 1e-3  # weights that say the same of every clip would prove nothing
    assert loss == pytest.approx(recorded["loss"], rel=1e-5)
    norms = {key: parameter.grad.norm().item() for key, parameter in system.named_parameters()}
    assert norms == pytest.approx(recorded["gradient_norms"], rel=1e-4, abs=1e-6)


@pytest.mark.skipif(not FOLDER, reason="MMSA_FOLDER does not name the unpacked wheel of MMSA 2.2.1")
@pytest.mark.parametrize("name", REFERENCES)
def test_beside_the_public_code(name):
    reference = REFERENCES[name]
    system, outputs, loss = step(name)
    network = build(Path(FOLDER), reference)
    with_weights_of(system, network, reference.weights())
    network.eval()
    with torch.no_grad():
        theirs = run(network, reference.pooled, frames())
    tasks = list(system.task_weights)
    for task in tasks:
        torch.testing.assert_close(outputs[task], theirs[task], rtol=1e-5, atol=1e-6)
    network.train()
    their_loss = loss_of(run(network, reference.pooled, frames()), labels(), tasks)
    their_loss.backward()
    assert loss == pytest.approx(their_loss.item(), rel=1e-5)
    own = dict(system.named_parameters())
    gradients = {key: parameter.grad for key, parameter in network.named_parameters() if parameter.grad is not None}
    largest = 0.0
    for key, their_key, change in reference.weights():
        gradient = part(gradients, their_key)
        torch.testing.assert_close(change(own[key].grad), gradient, rtol=1e-4, atol=1e-5)
        largest = max(largest, (change(own[key].grad) - gradient).abs().max().item())
    difference = max((outputs[task] - theirs[task]).abs().max().item() for task in tasks)
    print(f"{name}: outputs differ by {difference:.0e}, gradients by {largest:.0e} at most")
