"""Reasons: known answers, and what is planted is found."""

import h5py
import numpy as np
import pytest

from features.text import TokenVectors
from models.system import MODALITIES
from pipeline.base.store import ClipFeatures
from pipeline.pack import pack
from pipeline.runs.predictor import Predictor
from pipeline.runs.reasons import MOST_MOMENTS, MOST_WORDS, reasons_of, shapley_values, words_of
from tests.pipeline.packed import describe
from tests.pipeline.test_train import MODES, run_train, write_dataset


def encode(texts):
    """A token per letter between two special ones; the vector of a letter is its code."""
    found = []
    for text in texts:
        values = np.array([0.0, *map(ord, text), 0.0], np.float32)[:, None]
        offsets = np.array([(0, 0), *((i, i + 1) for i in range(len(text))), (0, 0)])
        found.append(TokenVectors(values, np.arange(len(values)), ["?"] * len(values), offsets, False))
    return found


def clip_of(frames=60, text="他很快乐"):
    (vectors,) = encode([text])
    random = np.random.default_rng(0)
    features = {name: ClipFeatures(random.normal(size=(frames, 3)).astype(np.float32)) for name in ("audio", "vision")}
    return features | {"text": ClipFeatures(vectors.values, {"token_ids": vectors.ids, "offsets": vectors.offsets})}


def test_shapley_values_of_known_games():
    def game(worth):
        sets = [frozenset(name for i, name in enumerate(MODALITIES) if number >> i & 1) for number in range(8)]
        return shapley_values({group: worth(group) for group in sets})

    weights = dict(zip(MODALITIES, (0.5, -0.25, 2.0), strict=True))
    assert game(lambda group: 7 + sum(weights[name] for name in group)) == pytest.approx(weights)
    # Shapley's gloves: who has the only right one gets two thirds, each with a left one a sixth.
    gloves = game(lambda group: float("text" in group and len(group) > 1))
    assert gloves == pytest.approx({"text": 2 / 3, "audio": 1 / 6, "vision": 1 / 6})


def test_words_are_whole():
    def words(text, pieces):
        offsets, place = [(0, 0)], 0
        for piece in pieces:
            offsets.append((place, place + len(piece)))
            place += len(piece)
        return [text[start:end] for start, end in words_of(text, np.array([*offsets, (0, 0)]))]

    assert words("今天 happy了", ["今天", " hap", "py", "了"]) == ["今天", "happy", "了"]
    assert words("don't go", ["don", "'", "t", " go"]) == ["don't", "go"]
    long = words("好" * 500, ["好"] * 500)
    assert len(long) == MOST_WORDS and "".join(long) == "好" * 500


def test_words_and_moments_that_count_are_found():
    def predict(clips):
        """The word 快 counts 1 and the voice of the third second as much as it is there; the face nothing."""
        return np.array(
            [
                float(ord("快") in clip["text"].values) + np.isfinite(clip["audio"].values[20:30, 0]).mean()
                if len(clip["audio"].values)
                else float(ord("快") in clip["text"].values)
                for clip in clips
            ]
        )

    found = reasons_of(clip_of(), " 他很快乐 ", 6.0, predict, encode)
    assert found.prediction == 2 and found.baseline == 0
    assert found.shapley == pytest.approx({"text": 1, "audio": 1, "vision": 0}) == found.left_out
    assert [(start, end, change) for start, end, change in found.words if change] == [(2, 3, 1)]
    assert found.moment == 0.5 and len(found.moments["audio"]) == 12
    np.testing.assert_allclose(found.moments["audio"], [0] * 4 + [0.5] * 2 + [0] * 6)
    np.testing.assert_array_equal(found.moments["vision"], np.zeros(12))


def test_a_clip_with_nothing_and_a_long_one():
    nothing = clip_of(0, "")
    found = reasons_of(nothing, "", 1.0, lambda clips: np.zeros(len(clips)), encode)
    assert found.words == [] and found.moments == {} and set(found.shapley.values()) == {0}
    long = reasons_of(clip_of(3000), "好", 100.0, lambda clips: np.zeros(len(clips)), encode)
    assert len(long.moments["vision"]) == MOST_MOMENTS and long.moment == 2.5


def test_a_trained_system_that_hears_alone(monkeypatch, tmp_path):
    """The label is in the sound alone: so is the reason."""
    labels = np.zeros((len(MODES), 4))
    labels[:, 2] = labels[:, 0] = np.tile(np.arange(-5, 6) / 5, 7)[: len(MODES)]
    dataset = describe(write_dataset(tmp_path / "dataset.h5", labels))
    with h5py.File(dataset, "r+") as file:
        file["vision"].attrs["pooling"] = 1  # the clips below are those of the data set, as they are
        ends = {name: file[name]["offsets"][:] for name in MODALITIES}
        values = {name: file[name]["values"][:] for name in MODALITIES}
    changes = {"max_epochs": 60, "early_stop": 60, "learning_rate": 0.01}
    run_train(monkeypatch, dataset, tmp_path / "runs" / "lf_dnn", seeds=(1, 2), **changes)
    pack(tmp_path / "runs" / "lf_dnn", dataset, [1, 2], tmp_path / "model")
    predictor = Predictor(tmp_path / "model")
    silent = TokenVectors(values["text"].mean(0)[None], np.zeros(1), [], np.zeros((1, 2), int), False)
    shares = []
    for number in range(MODES.index("test"), len(MODES)):
        clip = {name: ClipFeatures(values[name][slice(*ends[name][number : number + 2])]) for name in MODALITIES}
        found = reasons_of(
            clip, "", 1.0, lambda clips: predictor.predict(clips)["M"].mean(0), lambda texts: [silent] * len(texts)
        )
        assert sum(found.shapley.values()) == pytest.approx(found.prediction - found.baseline, abs=1e-6)
        shares.append([abs(found.shapley[name]) for name in MODALITIES])
    text, audio, vision = np.mean(shares, 0)
    assert audio > 3 * max(text, vision), (text, audio, vision)
