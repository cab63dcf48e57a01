"""The training command on a small ragged data set: its run folder, its errors, its reproducibility."""

import filecmp
import json
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

from models import SYSTEMS
from models.metrics import sims_metrics
from models.system import MODALITIES
from pipeline import train
from pipeline.data import even_batches, read_dataset, standardise

ROOT = Path(__file__).parents[2]
WIDTHS = {"text": 8, "audio": 5, "vision": 6}
LONGEST = {"text": 6, "audio": 12, "vision": 5}
MODES = ["train"] * 40 + ["valid"] * 14 + ["test"] * 16
SMALL_TENSOR = {"hidden": {"text": 12, "audio": 6, "vision": 12}, "text_out": 8}
SMALL = {"tfn": SMALL_TENSOR, "mtfn": SMALL_TENSOR, "mult": {"width": 12, "heads": 2, "accumulate": 2}}


def write_dataset(path, labels=None, seed=0):
    """A corpus whose modalities show their own label; M is the mean of T, A and V."""
    random = np.random.default_rng(seed)
    clips = len(MODES)
    if labels is None:
        labels = random.choice(np.arange(-5, 6) / 5, size=(clips, 4))
        labels[:, 0] = labels[:, 1:].mean(1)
    with h5py.File(path, "w") as file:
        text = h5py.string_dtype()
        file["clips/video_id"] = np.array([f"影片 {i // 20:04d}" for i in range(clips)], dtype=text)
        file["clips/clip_id"] = np.array([f"{i % 20:04d}" for i in range(clips)], dtype=text)
        file["clips/mode"] = np.array(MODES, dtype=text)
        file["labels"] = labels.astype(np.float32)
        for column, modality in enumerate(MODALITIES, start=1):
            lengths = random.integers(1, LONGEST[modality] + 1, clips)
            direction = random.normal(size=WIDTHS[modality])
            shown = np.nan_to_num(labels[:, column])
            frames = [random.normal(size=(n, WIDTHS[modality])) + y * direction for n, y in zip(lengths, shown, strict=True)]
            group = file.create_group(modality)
            values = np.concatenate(frames)
            values = values * 3 + 10 if modality != "text" else values
            group["values"] = values.astype(np.float32)
            group["offsets"] = np.concatenate([[0], np.cumsum(lengths)])
            of_train = values[: lengths[: MODES.count("train")].sum()]
            group["mean"], group["std"] = of_train.mean(0).astype(np.float32), of_train.std(0).astype(np.float32)
        file.attrs["corpus"], file.attrs["label_low"], file.attrs["label_high"] = "test corpus", -1.0, 1.0
    return path


@pytest.fixture(autouse=True)
def restore_torch_settings():
    """The command sets them for its whole process; the tests of other modules shall not notice."""
    threads = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("a folder 数据") / "dataset.h5")


def run_train(monkeypatch, dataset, output, system="lf_dnn", config=None, seed=1, **changes):
    override = {"max_epochs": 3, "batch_size": 16} | SMALL.get(system, {}) | changes
    arguments = ["train", "--dataset", dataset, "--system", system, "--config", config or ROOT / f"config/models/{system}.yaml"]
    arguments += ["--override", json.dumps(override), "--seed", seed, "--output", output]
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
    train.main()
    return output


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_trains_and_its_reruns_are_byte_equal(monkeypatch, tmp_path, dataset, system):
    first = run_train(monkeypatch, dataset, tmp_path / "first run" / "1", system)
    second = run_train(monkeypatch, dataset, tmp_path / "second" / "1", system)
    names = sorted(path.name for path in first.iterdir())
    assert names == ["config.yaml", "history.csv", "metrics.json", "model.safetensors", "predictions.csv", "versions.json"]
    assert filecmp.cmpfiles(first, second, names, shallow=False)[0] == names
    assert [path.name for path in first.parent.iterdir()] == ["1"]


def test_run_folder_agrees_with_itself(monkeypatch, tmp_path, dataset):
    folder = run_train(monkeypatch, dataset, tmp_path / "run", "mlf_dnn", max_epochs=12)
    metrics = json.loads((folder / "metrics.json").read_text())
    predictions = pd.read_csv(folder / "predictions.csv", dtype={"clip_id": str, "video_id": str})
    history = pd.read_csv(folder / "history.csv")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    weights = load_file(folder / "model.safetensors")

    assert predictions["mode"].tolist() == MODES and predictions["clip_id"][1] == "0001"
    assert predictions["video_id"][0] == "影片 0000"
    assert set(metrics["test"]) == set(metrics["valid"]) == {"M", "T", "A", "V"}
    test = predictions[predictions["mode"] == "test"]
    for task, values in metrics["test"].items():
        expected = sims_metrics(test[f"truth_{task}"].to_numpy(), test[f"prediction_{task}"].to_numpy())
        assert values["mae"] == pytest.approx(expected["mae"], abs=1e-5)
    assert metrics["best_epoch"] == history["epoch"][history["valid_loss"].idxmin()]
    assert config["system"] == "mlf_dnn" and config["batch_size"] == 16 and config["seed"] == 1
    counted = sum(tensor.numel() for name, tensor in weights.items() if "running" not in name and "num_batches" not in name)
    assert metrics["parameters"] == counted


def test_the_weights_kept_are_those_of_the_best_epoch(monkeypatch, tmp_path, dataset):
    """A learning rate so high that later epochs are worse; the run cut at its best epoch must end with the same weights."""
    long = run_train(monkeypatch, dataset, tmp_path / "long", learning_rate=0.05, max_epochs=40)
    best = json.loads((long / "metrics.json").read_text())["best_epoch"]
    epochs = len(pd.read_csv(long / "history.csv"))
    assert best < epochs == best + 8 < 40
    short = run_train(monkeypatch, dataset, tmp_path / "short", learning_rate=0.05, max_epochs=best)
    assert (short / "model.safetensors").read_bytes() == (long / "model.safetensors").read_bytes()


def test_seeds_differ(monkeypatch, tmp_path, dataset):
    first = run_train(monkeypatch, dataset, tmp_path / "1", seed=1)
    second = run_train(monkeypatch, dataset, tmp_path / "12", seed=12)
    assert (first / "predictions.csv").read_bytes() != (second / "predictions.csv").read_bytes()


def test_the_test_split_takes_no_part_in_training(monkeypatch, tmp_path, dataset):
    changed = tmp_path / "changed.h5"
    shutil.copy(dataset, changed)
    with h5py.File(changed, "r+") as file:
        labels = file["labels"][:]
        labels[[mode == "test" for mode in MODES]] *= -1
        file["labels"][:] = labels
    first = run_train(monkeypatch, dataset, tmp_path / "first")
    second = run_train(monkeypatch, changed, tmp_path / "second")
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    assert (first / "metrics.json").read_bytes() != (second / "metrics.json").read_bytes()


@pytest.mark.parametrize("system", ["lf_dnn", "mlf_dnn", "unimodal_audio"])
def test_what_the_features_show_is_learned(monkeypatch, tmp_path, dataset, system):
    folder = run_train(monkeypatch, dataset, tmp_path / "run", system, max_epochs=60)
    metrics = json.loads((folder / "metrics.json").read_text())
    task = "A" if system == "unimodal_audio" else "M"
    assert metrics["test"][task]["corr"] > 0.5


def test_a_missing_label_is_named_by_the_system_that_needs_it(monkeypatch, tmp_path):
    labels = np.random.default_rng(0).uniform(-1, 1, (len(MODES), 4))
    labels[:, 2] = np.nan
    labels[50:60, 0] = np.nan
    dataset = write_dataset(tmp_path / "dataset.h5", labels)
    with pytest.raises(SystemExit, match="mlf_dnn learns task A, but no clip of the train split has a label_A"):
        run_train(monkeypatch, dataset, tmp_path / "mlf_dnn", "mlf_dnn")
    assert not (tmp_path / "mlf_dnn").exists()
    folder = run_train(monkeypatch, dataset, tmp_path / "lf_dnn", "lf_dnn")
    predictions = pd.read_csv(folder / "predictions.csv")
    assert predictions["prediction_M"].notna().all() and predictions["truth_M"].isna().sum() == 10


def test_clips_to_predict_need_no_label(monkeypatch, tmp_path):
    labels = np.random.default_rng(0).uniform(-1, 1, (len(MODES), 4))
    labels[[mode == "test" for mode in MODES]] = np.nan
    folder = run_train(monkeypatch, write_dataset(tmp_path / "dataset.h5", labels), tmp_path / "run")
    assert json.loads((folder / "metrics.json").read_text())["test"] == {}
    assert pd.read_csv(folder / "predictions.csv")["prediction_M"].notna().all()


def test_labels_of_another_range_are_refused(monkeypatch, tmp_path, dataset):
    changed = tmp_path / "changed.h5"
    shutil.copy(dataset, changed)
    with h5py.File(changed, "r+") as file:
        file.attrs["label_low"], file.attrs["label_high"] = -3.0, 3.0
    with pytest.raises(SystemExit, match=r"labels in \(-3.0, 3.0\)"):
        run_train(monkeypatch, changed, tmp_path / "run")


def test_a_split_without_clips_is_named(monkeypatch, tmp_path, dataset):
    changed = tmp_path / "changed.h5"
    shutil.copy(dataset, changed)
    with h5py.File(changed, "r+") as file:
        file["clips/mode"][:] = ["train" if mode == "valid" else mode for mode in MODES]
    with pytest.raises(SystemExit, match="no clip has mode 'valid'"):
        run_train(monkeypatch, changed, tmp_path / "run")


def test_a_mistyped_key_is_named_with_its_file(monkeypatch, tmp_path, dataset):
    config = tmp_path / "mistyped.yaml"
    config.write_text((ROOT / "config/models/lf_dnn.yaml").read_text().replace("fusion_hidden", "fusion_hiden"))
    with pytest.raises(SystemExit, match=r"mistyped\.yaml.*unknown key 'fusion_hiden'; did you mean 'fusion_hidden'"):
        run_train(monkeypatch, dataset, tmp_path / "run", config=config)
    with pytest.raises(SystemExit, match="unknown key 'bach_size'; did you mean 'batch_size'"):
        run_train(monkeypatch, dataset, tmp_path / "run", bach_size=3)


OUTSIDE = """
import torch
from models.system import Config, System


class Bias(System):
    config_class = Config

    def __init__(self, config, widths, lengths):
        super().__init__(config, {"M": 1.0})
        self.bias = torch.nn.Parameter(torch.zeros(()))

    def forward(self, batch):
        return {"M": self.bias.expand(len(batch["text"].lengths))}
"""


def test_a_system_from_outside_trains_once_it_has_a_line_in_the_registry(monkeypatch, tmp_path, dataset):
    (tmp_path / "outside_bias.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(SYSTEMS, "bias", "outside_bias:Bias")
    config = tmp_path / "bias.yaml"
    config.write_text("batch_size: 8\nlearning_rate: 0.01\n")
    metrics = json.loads((run_train(monkeypatch, dataset, tmp_path / "run", "bias", config) / "metrics.json").read_text())
    assert metrics["test"]["M"]["majority"] is True and metrics["test"]["M"]["corr"] is None


def test_batches_hold_the_clips_padded_with_zeros(dataset):
    data = read_dataset(dataset, torch.device("cpu"))
    indices = np.array([5, 41, 69])
    batch = data.batch(indices)
    for modality in MODALITIES:
        values, lengths = batch[modality]
        assert values.shape == (3, int(lengths.max()), WIDTHS[modality])
        for row, index in enumerate(indices):
            start, end = data.offsets[modality][index : index + 2]
            assert torch.equal(values[row, : end - start], data.values[modality][start:end])
            assert not values[row, end - start :].any()


def test_audio_and_vision_are_standardised_by_the_train_split(dataset):
    data = read_dataset(dataset, torch.device("cpu"))
    for modality in ("audio", "vision"):
        of_train = data.values[modality][: data.offsets[modality][MODES.count("train")]]
        assert torch.allclose(of_train.mean(0), torch.zeros(WIDTHS[modality]), atol=1e-4)
        assert torch.allclose(of_train.std(0, correction=0), torch.ones(WIDTHS[modality]), atol=1e-4)
    with h5py.File(dataset) as file:
        assert np.array_equal(data.values["text"].numpy(), file["text/values"][:])


def test_a_constant_column_is_only_centred():
    frames = np.array([[5.0, 1.0], [5.0, 3.0]], dtype=np.float32)
    assert standardise(frames, frames.mean(0), frames.std(0)).tolist() == [[0.0, -1.0], [0.0, 1.0]]


@pytest.mark.parametrize("count", [2, 16, 17, 33, 144, 1368])
def test_batches_are_even_and_complete(count):
    batches = even_batches(np.arange(count), 16)
    sizes = [len(batch) for batch in batches]
    assert np.concatenate(batches).tolist() == list(range(count))
    assert max(sizes) <= 16 and min(sizes) >= max(sizes) - 1 and min(sizes) > 1
