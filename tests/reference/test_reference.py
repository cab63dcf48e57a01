"""Our systems give what the public code gives: outputs, and loss and gradients of a training step, dropout off."""

import json
import math
import os
from pathlib import Path

import pytest
import torch

from tests.reference.contrast import loss_of_confede, loss_of_ours
from tests.reference.generated_labels import labels_of_mmsa, labels_of_ours
from tests.reference.make_numbers import NUMBERS
from tests.reference.rule import batch_of, frames
from tests.reference.sequential_fusion import fusion_of_ours, fusion_of_sfttr
from tests.reference.side_by_side import our_loss, ours, part, tasks_of, their_loss, with_weights_of
from tests.reference.systems import REFERENCES

MMSA, CONFEDE, SFTTR = (os.environ.get(f"{name}_FOLDER") for name in ("MMSA", "CONFEDE", "SFTTR"))
ALL_NUMBERS = json.loads(NUMBERS.read_text(encoding="utf-8"))
RECORDED = ALL_NUMBERS["systems"]


@pytest.fixture(autouse=True)
def without_positions(monkeypatch):
    """MMSA's MulT adds no positions to its frames, the paper does and so do we."""
    monkeypatch.setattr("models.mult.with_positions", lambda values: values * math.sqrt(values.shape[-1]))


def step(name):
    """Our system: outputs in evaluation mode, loss and gradients of a training step."""
    system = ours(name, REFERENCES[name])
    system.eval()
    with torch.no_grad():
        outputs = system(batch_of(frames()))
    system.train()
    loss = our_loss(system, REFERENCES[name])
    loss.backward()
    return system, outputs, loss.item()


@pytest.mark.parametrize("name", REFERENCES)
def test_recorded_numbers(name):
    system, outputs, loss = step(name)
    recorded = RECORDED[name]
    for task, values in recorded["outputs"].items():
        assert outputs[task].tolist() == pytest.approx(values, rel=1e-5, abs=1e-6)
        assert outputs[task].std() > 1e-3  # weights that say the same of every clip would prove nothing
    assert loss == pytest.approx(recorded["loss"], rel=REFERENCES[name].tolerance)
    norms = {key: system.get_parameter(key).grad.norm().item() for key in recorded["gradient_norms"]}
    assert norms == pytest.approx(recorded["gradient_norms"], rel=10 * REFERENCES[name].tolerance, abs=1e-6)


@pytest.mark.parametrize("name", REFERENCES)
def test_beside_the_public_code(name):
    reference = REFERENCES[name]
    folder = os.environ.get(reference.folder)
    if not folder:
        pytest.skip(f"{reference.folder} does not name the folder of {reference.source}")
    system, outputs, loss = step(name)
    network = reference.build(Path(folder))
    with_weights_of(system, network, reference.weights())
    network.eval()
    with torch.no_grad():
        theirs = reference.run(network)
    tasks = tasks_of(system)
    for task in tasks:
        torch.testing.assert_close(outputs[task], theirs[task], rtol=1e-5, atol=1e-6)
    network.train()
    of_step = their_loss(reference, Path(folder), network, tasks)
    of_step.backward()
    assert loss == pytest.approx(of_step.item(), rel=reference.tolerance)
    own = dict(system.named_parameters())
    gradients = {key: parameter.grad for key, parameter in network.named_parameters() if parameter.grad is not None}
    largest = 0.0
    for key, their_key, change in reference.weights():
        gradient = part(gradients, their_key)
        torch.testing.assert_close(change(own[key].grad), gradient, rtol=10 * reference.tolerance, atol=reference.tolerance)
        largest = max(largest, (change(own[key].grad) - gradient).abs().max().item())
    difference = max((outputs[task] - theirs[task]).abs().max().item() for task in tasks)
    print(f"{name}: outputs differ by {difference:.0e}, gradients by {largest:.0e} at most")


def test_recorded_labels_that_self_mm_makes():
    for epoch, (found, recorded) in enumerate(zip(labels_of_ours(), ALL_NUMBERS["generated_labels"], strict=True), start=1):
        for task, labels in recorded.items():
            assert found[task].tolist() == pytest.approx(labels, abs=1e-5), (epoch, task)
    assert max(abs(value - first) for value, first in zip(labels, labels_of_ours()[0][task].tolist(), strict=True)) > 0.1


@pytest.mark.skipif(not MMSA, reason="MMSA_FOLDER does not name the unpacked wheel of MMSA 2.2.1")
def test_labels_that_self_mm_makes_beside_the_public_code():
    largest = 0.0
    for found, theirs in zip(labels_of_ours(), labels_of_mmsa(Path(MMSA)), strict=True):
        for task, labels in theirs.items():
            torch.testing.assert_close(found[task], labels, rtol=0, atol=1e-5)
            largest = max(largest, (found[task] - labels).abs().max().item())
    print(f"labels that self_mm makes differ by {largest:.0e} at most")


def flat(found):
    loss, norms = found
    return [loss, *norms]


def test_recorded_contrast_of_confede():
    assert flat(loss_of_ours()) == pytest.approx(flat(ALL_NUMBERS["contrast"]), rel=1e-5)


@pytest.mark.skipif(not CONFEDE, reason="CONFEDE_FOLDER does not name the folder of ConFEDE, commit c048fad")
def test_contrast_beside_the_public_code():
    ours, theirs = flat(loss_of_ours()), flat(loss_of_confede(Path(CONFEDE)))
    assert ours == pytest.approx(theirs, rel=1e-5)
    largest = max(abs(our / their - 1) for our, their in zip(ours, theirs, strict=True))
    print(f"confede's contrast and its gradients differ by {largest:.0e} of their size")


def test_recorded_fusion_of_sfttr():
    found = fusion_of_ours()
    for name, values in ALL_NUMBERS["sequential_fusion"].items():
        assert found[name] == pytest.approx(values, rel=1e-4, abs=1e-7), name
        assert max(map(abs, values)) > 1e-3  # gradients that are all 0 would prove nothing


@pytest.mark.skipif(not SFTTR, reason="SFTTR_FOLDER does not name the folder of SFTTR, commit 15df353")
def test_fusion_of_sfttr_beside_the_public_code():
    ours, theirs = fusion_of_ours(), fusion_of_sfttr(Path(SFTTR))
    largest = {}
    for name, values in theirs.items():
        assert ours[name] == pytest.approx(values, rel=1e-4, abs=1e-7), name
        largest[name] = max(abs(our - their) for our, their in zip(ours[name], values, strict=True))
    print(f"the fusion of sfttr differs by {largest['fused']:.0e}, its gradients by {max(largest.values()):.0e} at most")
