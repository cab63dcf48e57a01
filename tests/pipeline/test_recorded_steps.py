"""Recorded steps train as unrecorded ones do. Recording itself needs a GPU; without one, what is recorded is done again."""

import json

import numpy as np
import pytest
import torch

from models import SYSTEMS, load_system
from models.estimator import Estimator
from pipeline import train
from pipeline.runs import fit, recorded_steps
from pipeline.runs.recorded_steps import RecordedSteps, own_stream, padded_length
from pipeline.runs.steps import train_epoch
from tests.pipeline.test_train import ROOT, SMALL, write_dataset
from tests.pipeline.test_train import encoder as encoder

REPEATING = [name for name in SYSTEMS if not issubclass(load_system(name), Estimator) and load_system(name).repeats_steps]
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


class DoneAgain:
    """A recording that does the work anew."""

    def __init__(self, work, memory):
        self.replay = work


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(recorded_steps, "record", DoneAgain)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))


def trained(name, dataset_path, encoder, device, recorded, epochs=3):
    """Losses and weights of a system without dropout after some epochs on the same batches, one clip more in the last."""
    values = json.dumps(SMALL.get(name, {}) | {"batch_size": 8, "accumulate": 2, "gradient_clip": 0.5})
    config = train.load_config(name, ROOT / f"config/models/{name}.yaml", values)
    data, bert = train.read_inputs(name, config, dataset_path, str(encoder), device)
    train.make_reproducible(1, 1)
    system = fit.make_system(load_system(name), config, data, bert).to(device)
    for module in system.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for setting in ("dropout", "dropped"):
            if isinstance(getattr(module, setting, None), float | int):
                setattr(module, setting, 0)
    optimizer = fit.make_optimizer(system, device)
    indices = data.split("train")
    batches = [indices[:8], indices[8:16], indices[16:24], indices[24:32], indices[32:40]]
    with own_stream(device):
        steps = RecordedSteps(system, optimizer, data) if recorded else None
        losses = []
        for epoch in range(1, epochs + 1):
            system.begin_epoch(epoch, data, indices)
            losses.append(steps.train_epoch(batches) if recorded else train_epoch(system, optimizer, data, batches))
    return losses, {key: value.cpu() for key, value in fit.learned_state(system).items()}


@pytest.mark.parametrize("name", ["lf_dnn", "mult", "mfn", "self_mm", "ps_mixer"])
def test_recorded_steps_learn_the_same(tmp_path, encoder, without_gpu, name):
    path = write_dataset(tmp_path / "dataset.h5")
    losses, weights = trained(name, path, encoder, torch.device("cpu"), recorded=False)
    other_losses, other = trained(name, path, encoder, torch.device("cpu"), recorded=True)
    assert losses == pytest.approx(other_losses, rel=1e-4)
    for key, value in weights.items():
        torch.testing.assert_close(other[key], value, rtol=1e-3, atol=1e-4, msg=key)


@needs_gpu
@pytest.mark.parametrize("name", REPEATING)
def test_recordings_on_a_gpu_learn_the_same(tmp_path, encoder, name):
    path = write_dataset(tmp_path / "dataset.h5")
    losses, _ = trained(name, path, encoder, torch.device("cuda"), recorded=False)
    other_losses, weights = trained(name, path, encoder, torch.device("cuda"), recorded=True)
    assert losses == pytest.approx(other_losses, rel=1e-3)
    _, again = trained(name, path, encoder, torch.device("cuda"), recorded=True)
    for key, value in weights.items():
        assert torch.equal(again[key], value), key


def test_few_lengths_occur_and_none_is_too_short():
    lengths = [padded_length(frames, 400) for frames in range(1, 401)]
    assert all(frames <= length <= 400 for frames, length in zip(range(1, 401), lengths, strict=True))
    assert len(set(lengths)) <= 19
    assert padded_length(390, 400) == 400


def test_a_batch_may_have_more_frames_than_its_longest_clip(tmp_path):
    data = train.read_dataset(write_dataset(tmp_path / "dataset.h5"), torch.device("cpu"))
    indices = np.array([3, 1, 2])
    wide = data.padded_to({modality: length + 2 for modality, length in data.longest.items()}).batch(torch.as_tensor(indices))
    for modality, (values, lengths) in data.batch(indices).items():
        assert torch.equal(wide[modality].lengths, lengths)
        assert torch.equal(wide[modality].values[:, : values.shape[1]], values)
        assert not wide[modality].values[:, values.shape[1] :].any()
