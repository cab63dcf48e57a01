"""Estimators that are fitted at once: SVM, ridge regression, constant."""

import numpy as np
import pytest
from safetensors.numpy import load, save

from models import load_system
from tests.models.small import configuration

ESTIMATORS = ["svm", "svm_classification", "ridge", "constant"]


def make(name, **changes):
    return load_system(name)(configuration(name, **changes))


def make_inputs(clips, seed=0):
    generator = np.random.default_rng(seed)
    widths = {"text": 5, "first_token": 5, "audio": 3, "vision": 4}
    return {name: generator.normal(size=(clips, width)).astype(np.float32) for name, width in widths.items()}


def make_labels(inputs, key="first_token"):
    """Labels in (-1, 1) that one column tells."""
    return np.tanh(inputs[key][:, 0].astype(np.float64))


def fitted(name, key="first_token", **changes):
    estimator, train, valid = make(name, **changes), make_inputs(120, 1), make_inputs(60, 2)
    history = estimator.fit(train, make_labels(train, key), valid, make_labels(valid, key))
    return estimator, history


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_smallest_validation_loss_is_kept_and_fitting_repeats_bit_for_bit(name):
    estimator, history = fitted(name)
    best = min(history, key=lambda row: row["valid_loss"])
    assert estimator.setting == {key: value for key, value in best.items() if key != "valid_loss"}
    again, same_history = fitted(name)
    assert same_history == history
    inputs = make_inputs(30, 3)
    assert estimator.predict(inputs).shape == (30,)
    assert np.array_equal(estimator.predict(inputs), again.predict(inputs))


@pytest.mark.parametrize("name", ["svm", "ridge", "constant"])
def test_validation_loss_is_the_mean_absolute_error(name):
    estimator, history = fitted(name)
    valid = make_inputs(60, 2)
    error = np.mean(np.abs(estimator.predict(valid) - make_labels(valid)))
    assert min(row["valid_loss"] for row in history) == pytest.approx(error)


def test_validation_loss_of_classes_is_the_share_of_wrong_ones():
    estimator, history = fitted("svm_classification")
    valid = make_inputs(60, 2)
    wrong = np.mean((estimator.predict(valid) > 0) != (make_labels(valid) > 0))
    assert min(row["valid_loss"] for row in history) == pytest.approx(wrong)
    assert wrong < 0.3


@pytest.mark.parametrize("name", ESTIMATORS)
def test_clips_without_a_label_count_nowhere(name):
    train, valid = make_inputs(50, 1), make_inputs(40, 2)
    labels = make_labels(train), make_labels(valid)
    labels[0][10:20] = labels[1][5:9] = np.nan
    holed, whole = make(name), make(name)
    kept = ~np.isnan(labels[0]), ~np.isnan(labels[1])
    short = [{key: values[mask] for key, values in inputs.items()} for inputs, mask in zip((train, valid), kept, strict=True)]
    history = holed.fit(train, labels[0], valid, labels[1])
    assert history == whole.fit(short[0], labels[0][kept[0]], short[1], labels[1][kept[1]])
    assert np.array_equal(holed.predict(valid), whole.predict(valid))


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_split_without_labels_is_named(name, split):
    inputs = make_inputs(20)
    labels = {"train": make_labels(inputs), "valid": make_labels(inputs)} | {split: np.full(20, np.nan)}
    with pytest.raises(ValueError, match=f"no clip of the {split} split has a label"):
        make(name).fit(inputs, labels["train"], inputs, labels["valid"])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_arrays_survive_a_safetensors_file(name):
    arrays = fitted(name)[0].arrays()
    for key, values in load(save(arrays)).items():
        assert np.array_equal(values, arrays[key])


def test_constant_is_the_median():
    estimator = make("constant")
    train, valid = make_inputs(5), make_inputs(2)
    history = estimator.fit(train, np.array([0.0, 0.2, np.nan, 0.4, 1.0]), valid, np.array([0.3, 0.5]))
    assert history == [{"valid_loss": pytest.approx(0.1)}]
    assert estimator.predict(valid) == pytest.approx([0.3, 0.3])
    assert estimator.arrays()["median"] == pytest.approx([0.3])


def test_ridge_finds_a_line_and_its_arrays_repeat_it():
    estimator, train = make("ridge", alpha=[1e-6, 1e6]), make_inputs(80)
    line = 0.5 * train["audio"][:, 1] - 0.25 * train["text"][:, 2] + 0.1
    estimator.fit(train, line, train, line)
    other = make_inputs(10, 4)
    expected = 0.5 * other["audio"][:, 1] - 0.25 * other["text"][:, 2] + 0.1
    assert estimator.setting == {"alpha": 1e-6}
    assert estimator.predict(other) == pytest.approx(expected, abs=1e-5)
    arrays = estimator.arrays()
    joined = np.concatenate([other[name] for name in ("text", "audio", "vision")], axis=1)
    scaled = (joined - arrays["input_mean"]) / arrays["input_scale"]
    assert scaled @ arrays["coefficients"] + arrays["intercept"] == pytest.approx(expected, abs=1e-5)


def test_arrays_of_the_svm_repeat_its_prediction():
    estimator, _ = fitted("svm")
    arrays, inputs = estimator.arrays(), make_inputs(10, 3)
    joined = np.concatenate([inputs[name] for name in ("first_token", "audio", "vision")], axis=1)
    scaled = (joined - arrays["input_mean"]) / arrays["input_scale"]
    distances = ((scaled[:, None] - arrays["support_vectors"]) ** 2).sum(2)
    by_hand = np.exp(-distances / joined.shape[1]) @ arrays["coefficients"][0] + arrays["intercept"]
    assert estimator.predict(inputs) == pytest.approx(by_hand)


@pytest.mark.parametrize("modalities", [["text"], ["audio", "vision"]])
@pytest.mark.parametrize("name", ["svm", "svm_classification"])
def test_svm_sees_its_modalities_and_of_the_text_the_first_token(name, modalities):
    estimator, inputs = fitted(name, modalities=modalities)[0], make_inputs(30, 3)
    expected = estimator.predict(inputs)
    seen = {"first_token" if modality == "text" else modality for modality in modalities}
    for key in inputs:
        same = np.array_equal(estimator.predict(inputs | {key: make_inputs(30, 4)[key]}), expected)
        assert same == (key not in seen)


def test_a_class_stands_for_its_mean_label():
    labels = np.array([-0.8, -0.4, 0.0, 0.3, 0.5] * 8)
    inputs = make_inputs(40) | {"audio": np.stack([labels, labels, labels], axis=1)}
    two = make("svm_classification", modalities=["audio"])
    two.fit(inputs, labels, inputs, labels)
    assert two.predict(inputs) == pytest.approx(np.array([-0.4, -0.4, -0.4, 0.4, 0.4] * 8))
    three = make("svm_classification", modalities=["audio"], cuts=[-0.1, 0.1])
    three.fit(inputs, labels, inputs, labels)
    assert three.predict(inputs) == pytest.approx(np.array([-0.6, -0.6, 0.0, 0.4, 0.4] * 8))


def test_of_equal_settings_the_first_is_kept():
    labels = np.array([-0.5, 0.5] * 20)
    inputs = make_inputs(40) | {"audio": np.stack([labels, labels, labels], axis=1)}
    estimator = make("svm_classification", modalities=["audio"], penalty=[10.0, 100.0])
    assert [row["valid_loss"] for row in estimator.fit(inputs, labels, inputs, labels)] == [0.0, 0.0]
    assert estimator.setting == {"penalty": 10.0}


def test_labels_of_one_class_alone_are_refused():
    inputs = make_inputs(10)
    with pytest.raises(ValueError, match="'cuts'"):
        make("svm_classification").fit(inputs, np.full(10, 0.5), inputs, np.full(10, 0.5))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("svm", {"kind": "ranking"}, "'kind'"),
        ("svm", {"modalities": ["text", "video"]}, "'modalities'"),
        ("svm", {"modalities": []}, "'modalities'"),
        ("svm", {"penalty": [0.0]}, "'penalty'"),
        ("svm", {"epsilon": []}, "'epsilon'"),
        ("svm", {"cuts": [0.0]}, "'cuts' has no meaning in regression"),
        ("svm", {"kernel": "rbf"}, "unknown key 'kernel'"),
        ("svm", {"penalty": 1.0}, "'penalty'"),
        ("svm_classification", {"cuts": [0.1, -0.1]}, "'cuts'"),
        ("svm_classification", {"epsilon": [0.1]}, "'epsilon' has no meaning in classification"),
        ("ridge", {"alpha": []}, "'alpha'"),
        ("constant", {"alpha": [1.0]}, "unknown key 'alpha'"),
    ],
)
def test_a_wrong_value_is_named(name, changes, message):
    with pytest.raises(ValueError, match=message):
        make(name, **changes)
