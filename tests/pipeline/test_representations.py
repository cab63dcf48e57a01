"""Figures of what trained systems make of a clip: vectors in one plane, and the command on trained runs."""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml
from matplotlib import image
from transformers import BertConfig, BertModel

from models import load_system
from models.system import MODALITIES
from pipeline import train
from pipeline.results import representations

ROOT = Path(__file__).parents[2]
FIGURES = sorted((ROOT / "config" / "figures").glob("*.yaml"))
VARIANTS = yaml.safe_load((ROOT / "config" / "variants.yaml").read_text(encoding="utf-8"))
MODES = ["train"] * 12 + ["valid"] * 6 + ["test"] * 8


def write_dataset(path):
    random = np.random.default_rng(0)
    clips = len(MODES)
    with h5py.File(path, "w") as file:
        text = h5py.string_dtype()
        file["clips/video_id"] = np.array(["影片"] * clips, dtype=text)
        file["clips/clip_id"] = np.array([f"{i:04d}" for i in range(clips)], dtype=text)
        file["clips/mode"] = np.array(MODES, dtype=text)
        file["labels"] = random.uniform(-1, 1, (clips, 4)).astype(np.float32)
        lengths = random.integers(2, 6, clips)
        for modality, width in zip(MODALITIES, (8, 4, 6), strict=True):
            group = file.create_group(modality)
            group["values"] = random.normal(size=(lengths.sum(), width)).astype(np.float32)
            group["offsets"] = np.concatenate([[0], np.cumsum(lengths)])
            group["mean"], group["std"] = np.zeros(width, np.float32), np.ones(width, np.float32)
        file["text/token_ids"] = random.integers(1, 30, lengths.sum()).astype(np.int32)
        file.attrs["corpus"], file.attrs["label_low"], file.attrs["label_high"] = "test corpus", -1.0, 1.0


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A data set, a small text encoder, and runs of all systems of the figures after one epoch."""
    folder = tmp_path_factory.mktemp("runs 运行")
    write_dataset(folder / "dataset.h5")
    torch.manual_seed(0)
    widths = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=30, max_position_embeddings=16, **widths)).save_pretrained(folder / "encoder")
    small = {"hidden": {"text": 12, "audio": 6, "vision": 10}, "text_out": 8, "max_epochs": 1}
    contrast = {"encoder_epochs": {"text": 1, "audio": 1, "vision": 1}, "max_epochs": 2}
    patch = pytest.MonkeyPatch()
    for path in FIGURES:
        for panel in yaml.safe_load(path.read_text(encoding="utf-8"))["panels"]:
            variant = dict(VARIANTS.get(panel["run"], {"system": panel["run"]}))
            system = variant.pop("system")
            override = (contrast if system == "sfttr" else small) | variant
            arguments = ["train", "--dataset", folder / "dataset.h5", "--system", system, "--seeds", 1]
            arguments += ["--config", ROOT / f"config/models/{system}.yaml", "--override", json.dumps(override)]
            arguments += ["--encoder", folder / "encoder", "--output", folder / "runs" / panel["run"]]
            patch.setattr(sys, "argv", [str(argument) for argument in arguments])
            train.main()
    patch.undo()
    return folder


def draw(monkeypatch, trained, figure, output, encoder=True):
    arguments = ["representations", "--figure", figure, "--runs", trained / "runs", "--seed", 1]
    arguments += ["--dataset", trained / "dataset.h5", "--output", output]
    arguments += ["--encoder", trained / "encoder"] if encoder else []
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
    representations.main()


@pytest.mark.parametrize("figure", FIGURES, ids=lambda path: path.stem)
def test_every_figure_is_drawn_and_its_rerun_is_byte_equal(monkeypatch, tmp_path, trained, figure):
    draw(monkeypatch, trained, figure, tmp_path / "first.png")
    draw(monkeypatch, trained, figure, tmp_path / "second.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    columns = yaml.safe_load(figure.read_text(encoding="utf-8"))["columns"]
    assert image.imread(tmp_path / "first.png").shape[1] == round(4.5 * columns * 120)


@pytest.mark.parametrize("figure", FIGURES, ids=lambda path: path.stem)
def test_every_representation_of_the_test_clips_has_a_colour(trained, figure):
    content = yaml.safe_load(figure.read_text(encoding="utf-8"))
    for panel in content["panels"]:
        folder = trained / "runs" / panel["run"] / "1"
        named, corpus = representations.representations_of(folder, trained / "dataset.h5", str(trained / "encoder"))
        assert corpus == "test corpus" and set(named) == set(content["colours"])
        assert {len(vectors) for vectors in named.values()} == {MODES.count("test")}


def test_representations_are_those_of_the_weights_kept(trained):
    """What is drawn gives, fused, the predictions of the run folder."""
    folder = trained / "runs" / "lf_dnn" / "1"
    named, _ = representations.representations_of(folder, trained / "dataset.h5", "")
    system, _ = representations.load_run(folder, trained / "dataset.h5", "")
    fused = system.fuse({name: torch.from_numpy(vectors) for name, vectors in named.items()})
    lines = (folder / "predictions.csv").read_text(encoding="utf-8").splitlines()
    column = lines[0].split(",").index("prediction_M")
    expected = [float(line.split(",")[column]) for line in lines[1:] if ",test," in line]
    assert fused.tolist() == pytest.approx(expected, abs=1e-5)


def test_a_missing_run_is_named(monkeypatch, tmp_path, trained):
    figure = tmp_path / "figure.yaml"
    figure.write_text("{caption: c, columns: 1, panels: [{title: t, run: no_such}], colours: {text: red}}")
    with pytest.raises(FileNotFoundError, match="no_such"):
        draw(monkeypatch, trained, figure, tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


def test_vectors_of_different_width_have_length_one_and_a_dead_one_stays_zero():
    joined = representations.on_one_sphere([np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[2.0, 0.0, 0.0]])])
    assert joined.tolist() == [[0.6, 0.8, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]


def test_what_lies_apart_stays_apart_in_the_plane():
    random = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], 30)
    vectors = np.eye(3)[groups] * 5 + random.normal(size=(90, 3)) * 0.1
    points = representations.plane(vectors)
    assert points.shape == (90, 2) and np.array_equal(points, representations.plane(vectors))
    assert representations.silhouette(points, groups) > 0.8 and representations.silhouette(vectors, groups) > 0.8
    assert abs(representations.silhouette(random.normal(size=(90, 3)), groups)) < 0.1


def test_equal_vectors_fall_on_one_point():
    assert not representations.plane(np.ones((6, 3))).any()


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_runs_of_a_figure_can_represent(path):
    for panel in yaml.safe_load(path.read_text(encoding="utf-8"))["panels"]:
        assert hasattr(load_system(VARIANTS.get(panel["run"], {"system": panel["run"]})["system"]), "represent")
