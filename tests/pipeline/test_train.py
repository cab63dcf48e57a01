"""The training command on a small ragged data set: its run folder, its errors, its reproducibility."""

import filecmp
import json
import re
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
from transformers import BertConfig, BertModel

from models import SYSTEMS, load_system
from models.estimator import Estimator
from models.layers import masked_mean
from models.metrics import sims_metrics
from models.system import MODALITIES, Config, System
from pipeline import train
from pipeline.base.command import UserError
from pipeline.runs import data, fit, steps
from pipeline.runs.data import even_batches, read_dataset, similar_batches, standardise
from pipeline.runs.run_folder import load_run

ROOT = Path(__file__).parents[2]
WIDTHS = {"text": 8, "audio": 5, "vision": 6}
LONGEST = {"text": 6, "audio": 12, "vision": 5}
MODES = ["train"] * 40 + ["valid"] * 14 + ["test"] * 16
SMALL_TENSOR = {"hidden": {"text": 12, "audio": 6, "vision": 12}, "text_out": 8}
SMALL_CONTRAST = {"encoder_epochs": {"text": 1, "audio": 1, "vision": 1}}
SMALL = {
    "sfttr": SMALL_CONTRAST,
    "confede": SMALL_CONTRAST,
    "tfn": SMALL_TENSOR,
    "mtfn": SMALL_TENSOR,
    "mult": {"width": 12, "heads": 2, "accumulate": 2},
}


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
            if modality == "text":
                group["token_ids"] = random.integers(1, 30, lengths.sum()).astype(np.int32)
            of_train = values[: lengths[: MODES.count("train")].sum()]
            group["mean"], group["std"] = of_train.mean(0).astype(np.float32), of_train.std(0).astype(np.float32)
        file.attrs["corpus"], file.attrs["label_low"], file.attrs["label_high"] = "test corpus", -1.0, 1.0
    return path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("a folder 数据") / "dataset.h5")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A text encoder of two small layers, as a checkpoint."""
    folder = tmp_path_factory.mktemp("an encoder 编码")
    torch.manual_seed(0)
    widths = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=30, max_position_embeddings=16, **widths)).save_pretrained(folder)
    return folder


def run_train(monkeypatch, dataset, output, system="lf_dnn", config=None, seeds=(1,), encoder="", options=(), **changes):
    """Run the command; the run folder of the first seed."""
    if not issubclass(load_system(system), Estimator):
        changes = {"max_epochs": 3, "batch_size": 16} | changes
    override = SMALL.get(system, {}) | changes
    arguments = ["train", "--dataset", dataset, "--system", system, "--config", config or ROOT / f"config/models/{system}.yaml"]
    arguments += ["--override", json.dumps(override), "--encoder", encoder, "--seeds", *seeds, "--output", output, *options]
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
    train.main()
    return output / str(seeds[0])


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_trains_and_its_reruns_are_byte_equal(monkeypatch, tmp_path, dataset, encoder, system):
    """The second run leaves the frames in the file, as that of a large corpus does."""
    first = run_train(monkeypatch, dataset, tmp_path / "first run", system, encoder=encoder)
    monkeypatch.setattr(data, "LARGEST_IN_MEMORY", 0)
    second = run_train(monkeypatch, dataset, tmp_path / "second", system, encoder=encoder)
    names = sorted(path.name for path in first.iterdir())
    expected = {"config.yaml", "history.csv", "metrics.json", "model.safetensors", "predictions.csv", "versions.json"}
    assert set(names) == expected | ({"generated_labels.csv"} if system == "self_mm" else set())
    assert filecmp.cmpfiles(first, second, names, shallow=False)[0] == names
    assert [path.name for path in first.parent.iterdir()] == ["1"]


@pytest.mark.parametrize("system", ["mlf_dnn", "self_mm"])
def test_seeds_trained_together_equal_each_trained_alone(monkeypatch, tmp_path, dataset, encoder, system):
    together = run_train(monkeypatch, dataset, tmp_path / "a", system, seeds=(1, 12, 123), encoder=encoder).parent
    forked = tmp_path / "b"
    run_train(monkeypatch, dataset, forked, system, None, (1, 12, 123), encoder, ("--processes", "2"))
    for seed in (1, 12, 123):
        alone = run_train(monkeypatch, dataset, tmp_path / "c", system, seeds=(seed,), encoder=encoder)
        names = [path.name for path in alone.iterdir()]
        for folder in (together, forked):
            assert filecmp.cmpfiles(alone, folder / str(seed), names, shallow=False)[0] == names


def test_only_what_is_learned_of_the_encoder_is_kept(monkeypatch, tmp_path, dataset, encoder):
    whole = run_train(monkeypatch, dataset, tmp_path / "whole", "self_mm", encoder=encoder)
    part = run_train(monkeypatch, dataset, tmp_path / "part", "self_mm", encoder=encoder, frozen_layers=1)
    kept = {key for key in load_file(part / "model.safetensors") if key.startswith("encoder.")}
    assert "encoder.embeddings.word_embeddings.weight" in load_file(whole / "model.safetensors")
    assert kept and all(key.startswith("encoder.layers.1.") for key in kept)
    system, data = load_run(part, dataset, str(encoder))
    predictions = fit.predict(system, data, np.arange(len(MODES)))["M"].numpy()
    written = pd.read_csv(part / "predictions.csv")["prediction_M"]
    np.testing.assert_allclose(predictions, written, atol=1e-5)


def test_generated_labels_are_kept_of_every_epoch(monkeypatch, tmp_path, dataset, encoder):
    folder = run_train(monkeypatch, dataset, tmp_path / "run", "self_mm", encoder=encoder)
    table = pd.read_csv(folder / "generated_labels.csv")
    assert table.groupby("epoch").size().tolist() == [40, 40, 40]
    assert table[["label_T", "label_A", "label_V"]].abs().max().max() <= 1


def test_tokens_of_another_encoder_are_not_given_to_this_one(monkeypatch, tmp_path, dataset, encoder):
    changed = tmp_path / "changed.h5"
    shutil.copy(dataset, changed)
    with h5py.File(changed, "r+") as file:
        file.attrs["encoder"] = "bert-base-chinese"
    with pytest.raises(UserError, match="tokens of the encoder 'bert-base-chinese', not of"):
        run_train(monkeypatch, changed, tmp_path / "run", "self_mm", encoder=encoder)


def test_a_fine_tuned_system_without_encoder_or_token_ids_says_so(monkeypatch, tmp_path, dataset, encoder):
    with pytest.raises(UserError, match="self_mm fine-tunes the text encoder: give it with --encoder"):
        run_train(monkeypatch, dataset, tmp_path / "run", "self_mm")
    changed = tmp_path / "changed.h5"
    shutil.copy(dataset, changed)
    with h5py.File(changed, "r+") as file:
        del file["text/token_ids"]
    with pytest.raises(UserError, match="has no token ids"):
        run_train(monkeypatch, changed, tmp_path / "run", "self_mm", encoder=encoder)


@pytest.mark.parametrize("system", ["lf_dnn", "ridge"])
def test_validation_only_leaves_the_test_split_alone(monkeypatch, tmp_path, dataset, system):
    whole = run_train(monkeypatch, dataset, tmp_path / "whole", system)
    folder = run_train(monkeypatch, dataset, tmp_path / "part", system, options=("--validation-only",))
    metrics, of_whole = (json.loads((path / "metrics.json").read_text()) for path in (folder, whole))
    assert metrics["test"] == {}
    assert metrics["valid"]["M"]["mae"] == pytest.approx(of_whole["valid"]["M"]["mae"], abs=1e-5)
    predictions = pd.read_csv(folder / "predictions.csv")
    assert (predictions["prediction_M"].isna() == (predictions["mode"] == "test")).all()


def test_the_learning_rate_warms_up_and_falls():
    config = Config(batch_size=1, learning_rate=1.0, max_epochs=14, warmup_epochs=4, decay="cosine")
    factors = [fit.rate_factor(epoch, config) for epoch in range(1, 15)]
    np.testing.assert_allclose(factors[:5], [0.2, 0.4, 0.6, 0.8, 1.0])
    assert np.all(np.diff(factors[4:]) < 0) and 0 < factors[-1] < 0.05
    assert fit.rate_factor(9, Config(batch_size=1, learning_rate=1.0)) == 1.0


def test_pre_training_has_a_warm_up_and_a_fall_of_its_own():
    config = Config(batch_size=1, learning_rate=1.0, max_epochs=9, warmup_epochs=1, decay="linear")
    factors = [fit.rate_factor(epoch, config, pretraining=4) for epoch in range(1, 10)]
    np.testing.assert_allclose(factors, [0.5, 1, 2 / 3, 1 / 3, 0.5, 1, 0.75, 0.5, 0.25])


def test_bf16_trains_near_fp32(monkeypatch, tmp_path, dataset):
    exact = run_train(monkeypatch, dataset, tmp_path / "fp32", "lf_dnn", max_epochs=1)
    rounded = run_train(monkeypatch, dataset, tmp_path / "bf16", "lf_dnn", max_epochs=1, precision="bf16")
    losses = [pd.read_csv(folder / "history.csv")["valid_loss"][0] for folder in (exact, rounded)]
    assert losses[0] != losses[1] and losses[1] == pytest.approx(losses[0], rel=0.05)


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
    first = run_train(monkeypatch, dataset, tmp_path / "1", seeds=(1,))
    second = run_train(monkeypatch, dataset, tmp_path / "12", seeds=(12,))
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
    with pytest.raises(UserError, match="mlf_dnn learns task A, but no clip of the train split has a label_A"):
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
        file.attrs["label_low"], file.attrs["label_high"] = -2.0, 3.0
    with pytest.raises(UserError, match=r"no metrics for labels in \(-2.0, 3.0\)"):
        run_train(monkeypatch, changed, tmp_path / "run")


def test_a_split_without_clips_is_named(monkeypatch, tmp_path, dataset):
    changed = tmp_path / "changed.h5"
    shutil.copy(dataset, changed)
    with h5py.File(changed, "r+") as file:
        file["clips/mode"][:] = ["train" if mode == "valid" else mode for mode in MODES]
    with pytest.raises(UserError, match="no clip has mode 'valid'"):
        run_train(monkeypatch, changed, tmp_path / "run")


def test_a_mistyped_key_is_named_with_its_file(monkeypatch, tmp_path, dataset):
    config = tmp_path / "mistyped.yaml"
    config.write_text((ROOT / "config/models/lf_dnn.yaml").read_text().replace("fusion_hidden", "fusion_hiden"))
    with pytest.raises(UserError, match=r"mistyped\.yaml.*unknown key 'fusion_hiden'; did you mean 'fusion_hidden'"):
        run_train(monkeypatch, dataset, tmp_path / "run", config=config)
    with pytest.raises(UserError, match="unknown key 'bach_size'; did you mean 'batch_size'"):
        run_train(monkeypatch, dataset, tmp_path / "run", bach_size=3)


def test_the_system_of_the_documentation_trains_from_outside_the_tree(monkeypatch, tmp_path, dataset):
    page = (ROOT / "docs" / "adding_a_system.md").read_text(encoding="utf-8")
    code, values = (re.search(rf"```{language}\n(.*?)```", page, re.DOTALL)[1] for language in ("python", "yaml"))
    (tmp_path / "outside_mean_pool.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(SYSTEMS, "mean_pool", "outside_mean_pool:MeanPool")
    config = tmp_path / "mean_pool.yaml"
    config.write_text(values)
    folder = run_train(monkeypatch, dataset, tmp_path / "run", "mean_pool", config, max_epochs=60)
    assert json.loads((folder / "metrics.json").read_text())["test"]["M"]["corr"] > 0.5


def test_batches_hold_the_clips_padded_with_zeros(dataset):
    clips = read_dataset(dataset, torch.device("cpu"))
    indices = np.array([5, 41, 69])
    batch = clips.batch(indices)
    for modality in MODALITIES:
        values, lengths = batch[modality]
        assert values.shape == (3, int(lengths.max()), WIDTHS[modality])
        for row, index in enumerate(indices):
            start, end = clips.offsets[modality][index : index + 2]
            assert torch.equal(values[row, : end - start], clips.values[modality][start:end])
            assert not values[row, end - start :].any()


def test_frames_that_stay_in_the_file_make_the_same_batches(monkeypatch, tmp_path, dataset):
    path = shutil.copy(dataset, tmp_path / "数据 data.h5")
    inside = read_dataset(path, torch.device("cpu"), in_memory=False)
    monkeypatch.setattr(data, "LARGEST_IN_MEMORY", 0)
    outside = read_dataset(path, torch.device("cpu"), in_memory=False)
    assert all(torch.is_tensor(values) for values in inside.values.values())
    assert not any(torch.is_tensor(values) for values in outside.values.values())
    for indices in ([5, 41, 69], [3], list(range(70))):
        for first, second in zip(
            inside.batch(np.array(indices)).values(), outside.batch(np.array(indices)).values(), strict=True
        ):
            assert torch.equal(first.values, second.values) and torch.equal(first.lengths, second.lengths)
    with open(path, "r+b") as file:
        file.truncate(outside.values["text"].begin)
    with pytest.raises(UserError, match="数据 data.h5: it ends before its last frame: make the data set again"):
        outside.batch(np.array([5, 41, 69]))


def test_means_over_time_are_those_of_the_frames(dataset):
    frames = read_dataset(dataset, torch.device("cpu"))
    means = read_dataset(dataset, torch.device("cpu"), means=("audio", "vision"))
    assert means.longest == frames.longest == LONGEST
    indices = np.array([5, 41, 69])
    for modality in ("audio", "vision"):
        values, lengths = means.batch(indices)[modality]
        assert values.shape == (3, 1, WIDTHS[modality]) and lengths.tolist() == [1, 1, 1]
        torch.testing.assert_close(values[:, 0], masked_mean(frames.batch(indices)[modality]), atol=1e-5, rtol=0)


def test_similar_batches_hold_every_clip_once_and_little_padding():
    lengths = np.random.default_rng(0).integers(4, 400, 500)
    random = np.random.default_rng(1)
    order = random.permutation(480)
    batches = similar_batches(order, 16, lengths, random)
    assert sorted(np.concatenate(batches).tolist()) == list(range(480)) and max(map(len, batches)) <= 16

    def padded(chosen):
        return sum(len(batch) * lengths[batch].max() for batch in chosen)

    assert padded(batches) < 1.1 * lengths[:480].sum() < 0.7 * padded(even_batches(order, 16))
    again = similar_batches(random.permutation(480), 16, lengths, random)
    assert {tuple(sorted(batch)) for batch in again} != {tuple(sorted(batch)) for batch in batches}


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


@pytest.mark.parametrize("count", [2, 3, 5, 143])
def test_no_clip_is_alone_among_pairs(count):
    batches = even_batches(np.arange(count), 2)
    assert np.concatenate(batches).tolist() == list(range(count))
    assert {len(batch) for batch in batches} <= {2, 3}
    assert len(even_batches(np.arange(count), 1)) == count


class Recorder(torch.optim.SGD):
    """An optimiser that moves nothing and keeps the gradients of each step."""

    def __init__(self, parameters):
        super().__init__(parameters, lr=0.0)
        self.steps = []

    def step(self):
        self.steps.append([p.grad.clone() for group in self.param_groups for p in group["params"]])


@pytest.fixture
def linear_regression(dataset):
    """A data set and the smallest system: mean text vector, one linear layer."""

    class Linear(System):
        def __init__(self, config):
            super().__init__(config, {"M": 1.0})
            self.layer = torch.nn.Linear(WIDTHS["text"], 1)

        def forward(self, batch):
            return {"M": self.layer(masked_mean(batch["text"])).flatten()}

    torch.manual_seed(0)
    corpus = read_dataset(dataset, torch.device("cpu"))
    return corpus, lambda **values: Linear(Config(batch_size=8, learning_rate=0.1, **values))


def test_gradients_of_the_batches_of_a_step_are_added_up(linear_regression):
    corpus, make = linear_regression
    system = make(accumulate=2)
    batches = np.split(np.arange(40), 5)
    recorder = Recorder(system.parameters())
    loss = steps.train_epoch(system, recorder, corpus, batches)
    alone = []
    for chosen in batches:
        system.zero_grad()
        alone.append(system.training_loss(corpus, chosen))
        alone[-1].backward()
        alone[-1] = (alone[-1].item(), system.layer.weight.grad.clone())
    gradients = [gradient for _, gradient in alone]
    assert loss == pytest.approx(np.mean([value for value, _ in alone]), rel=1e-6)
    expected = [gradients[0] + gradients[1], gradients[2] + gradients[3], gradients[4]]
    for (weight, _), summed in zip(recorder.steps, expected, strict=True):
        torch.testing.assert_close(weight, summed)


def test_single_entries_of_the_gradient_are_clipped(linear_regression):
    corpus, make = linear_regression
    system = make()
    free, clipped = Recorder(system.parameters()), Recorder(system.parameters())
    steps.train_epoch(system, free, corpus, [np.arange(8)])
    largest = free.steps[0][0].abs().max().item()
    system.config = make(gradient_clip_value=largest / 2).config
    steps.train_epoch(system, clipped, corpus, [np.arange(8)])
    torch.testing.assert_close(clipped.steps[0][0], free.steps[0][0].clamp(-largest / 2, largest / 2))


def test_what_a_system_can_say_follows_the_range_of_the_labels(monkeypatch, tmp_path, encoder):
    """TFN's output is squashed to the range of the corpus's labels, Self-MM's generated labels lie in it."""
    path = write_dataset(tmp_path / "dataset.h5", np.full((len(MODES), 4), 3.0))
    with h5py.File(path, "a") as file:
        file.attrs["label_low"], file.attrs["label_high"] = -3.0, 3.0
    folder = run_train(monkeypatch, path, tmp_path / "tfn", "tfn", learning_rate=0.1, max_epochs=10)
    found = pd.read_csv(folder / "predictions.csv")["prediction_M"]
    assert found.max() > 2 and found.abs().max() <= 3
    folder = run_train(monkeypatch, path, tmp_path / "self_mm", "self_mm", encoder=encoder)
    assert load_run(folder, path, encoder)[0].label_range == (-3.0, 3.0)
    assert pd.read_csv(folder / "generated_labels.csv")["label_T"].iloc[0] == 3.0


@pytest.mark.parametrize(("clips", "batch_size", "cure"), [(1, 16, "only one has mode"), (40, 1, "'batch_size'")])
def test_a_batch_of_one_clip_is_refused_where_it_is_normalised(monkeypatch, tmp_path, dataset, clips, batch_size, cure):
    path = shutil.copy(dataset, tmp_path / "dataset.h5")
    with h5py.File(path, "a") as file:
        modes = ["train"] * clips + ["valid"] * 14 + ["test"] * (len(MODES) - 14 - clips)
        file["clips/mode"][:] = modes
    with pytest.raises(UserError, match=f"lf_dnn .*{cure}"):
        run_train(monkeypatch, path, tmp_path / "run", batch_size=batch_size)


@pytest.mark.parametrize("count", [2, 16, 17, 33, 144, 1368])
def test_batches_are_even_and_complete(count):
    batches = even_batches(np.arange(count), 16)
    sizes = [len(batch) for batch in batches]
    assert np.concatenate(batches).tolist() == list(range(count))
    assert max(sizes) <= 16 and min(sizes) >= max(sizes) - 1 and min(sizes) > 1
