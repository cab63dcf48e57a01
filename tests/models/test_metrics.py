"""Known answers of the metrics, with the class counts of CH-SIMS's test split (ACL 2020, Table 3)."""

import numpy as np
import pytest

from models.metrics import (
    CUTS_3,
    CUTS_5,
    METRIC_TITLES,
    classes,
    correlation,
    metrics_for,
    mosi_metrics,
    partial_correlation,
    sims_metrics,
)

# Negative 151, weakly negative 97, neutral 69, weakly positive 69, positive 71.
SIMS_TEST = np.repeat([-0.8, -0.4, 0.0, 0.4, 0.8], [151, 97, 69, 69, 71]).astype(np.float32)


def test_a_constant_gives_the_published_ef_lstm_row():
    metrics = sims_metrics(SIMS_TEST, np.full(457, -0.2, dtype=np.float32))
    percent = {name: round(100 * value, 2) for name, value in metrics.items() if name not in ("majority", "corr")}
    assert percent["acc2"] == 69.37
    assert percent["acc3"] == 54.27
    assert percent["acc5"] == 21.23
    assert percent["f1"] == 56.82
    assert percent["f1_table2"] == 81.91
    assert np.isnan(metrics["corr"])
    assert metrics["majority"] is True


def test_the_truth_itself_is_perfect():
    metrics = sims_metrics(SIMS_TEST, SIMS_TEST)
    assert all(metrics[name] == 1.0 for name in ("acc2", "acc3", "acc5", "f1", "f1_table2"))
    assert metrics["mae"] == 0.0 and metrics["corr"] == pytest.approx(1.0) and metrics["majority"] is False


def test_predictions_are_clipped_to_the_range_of_labels():
    truth = np.array([1.0, -1.0, 0.0])
    metrics = sims_metrics(truth, np.array([7.0, -3.0, 0.0]))
    assert metrics["mae"] == 0.0 and metrics["corr"] == pytest.approx(1.0)


def test_f1_takes_its_weights_from_the_truth():
    truth, prediction = np.array([-1, -1, -1, 1.0]), np.array([-1, -1, 1, 1.0])
    metrics = sims_metrics(truth, prediction)
    negative, positive = 2 * 2 / (3 + 2), 2 * 1 / (1 + 2)
    assert metrics["f1"] == pytest.approx(0.75 * negative + 0.25 * positive)
    assert metrics["f1_table2"] == pytest.approx(0.5 * negative + 0.5 * positive)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_value_on_a_cut_belongs_to_the_class_below(dtype):
    values = np.array([-1.0, -0.7, -0.6, -0.1, -0.05, 0.0, 0.1, 0.2, 0.7, 0.8], dtype=dtype)
    assert classes(values, CUTS_3).tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert classes(values, CUTS_5).tolist() == [0, 0, 1, 1, 2, 2, 2, 3, 3, 4]
    sums = np.array([sum([0.1] * 7), 0.1 * 3 - 0.2, 1 - 0.9], dtype=dtype)  # 0.7 and twice 0.1, but for rounding
    assert classes(sums, CUTS_5).tolist() == [3, 2, 2]


@pytest.mark.parametrize("metrics", [sims_metrics, mosi_metrics])
def test_clips_without_a_label_are_left_out(metrics):
    values = metrics(np.array([np.nan, 0.5, -0.5]), np.array([0.9, 0.5, -0.5]))
    assert values["mae"] == 0.0 and values["acc5"] == 1.0
    with pytest.raises(ValueError, match="no clip has a label"):
        metrics(np.array([np.nan]), np.array([0.0]))


@pytest.mark.parametrize("metrics", [sims_metrics, mosi_metrics])
def test_predictions_that_are_not_numbers_are_refused(metrics):
    with pytest.raises(ValueError, match="1 predictions are not finite"):
        metrics(np.zeros(2), np.array([0.0, np.nan]))


def test_mosi_classes_are_whole_numbers_and_a_half_is_rounded_to_the_even_one():
    truth = np.array([-3, -2, -1, 0, 0, 1, 2, 3], dtype=np.float32)
    # Rounded: -4 -> clipped to -3, -2.5 -> -2, -1.5 -> -2, -0.5 -> 0, 0.5 -> 0, 0.51 -> 1, 2.4 -> 2, 2.5 -> 2.
    metrics = mosi_metrics(truth, np.array([-4, -2.5, -1.5, -0.5, 0.5, 0.51, 2.4, 2.5], dtype=np.float32))
    assert metrics["acc7"] == 6 / 8  # wrong: -1 and 3
    assert metrics["acc5"] == 7 / 8  # 3 and 2.5 are both 2 now
    assert metrics["mae"] == pytest.approx((1 + 0.5 + 0.5 + 0.5 + 0.5 + 0.49 + 0.4 + 0.5) / 8)


def test_mosi_mae_and_corr_are_not_clipped():
    truth = np.array([-3.0, 0.0, 3.0])
    metrics = mosi_metrics(truth, 2 * truth)
    assert metrics["mae"] == 2.0 and metrics["corr"] == pytest.approx(1.0) and metrics["acc7"] == 1.0
    bent = mosi_metrics(truth, np.array([-3.0, 0.0, 30.0]))
    assert bent["corr"] == pytest.approx(np.corrcoef(truth, [-3, 0, 30])[0, 1]) and bent["corr"] < 0.95


def test_mosi_two_forms_of_acc2_and_f1():
    truth = np.array([-1.0, -2.0, 0.0, 0.0, 1.0, 2.0])
    prediction = np.array([-1.0, 0.0, -0.1, 0.0, 0.5, -0.5])
    metrics = mosi_metrics(truth, prediction)
    # >= 0: truth 0 0 1 1 1 1, prediction 0 1 0 1 1 0. > 0 without truth 0: truth 0 0 1 1, prediction 0 0 1 0.
    assert metrics["acc2_non_negative"] == 3 / 6
    assert metrics["acc2_positive"] == 3 / 4
    assert metrics["f1_non_negative"] == pytest.approx(2 / 6 * (2 * 1 / (2 + 3)) + 4 / 6 * (2 * 2 / (4 + 3)))
    assert metrics["f1_positive"] == pytest.approx(0.5 * (2 * 2 / (2 + 3)) + 0.5 * (2 * 1 / (2 + 1)))
    assert metrics["majority"] is False and mosi_metrics(truth, np.full(6, 0.2))["majority"] is True


def test_mosi_without_any_side_the_second_form_is_undefined():
    metrics = mosi_metrics(np.zeros(3), np.array([0.1, -0.1, 0.2]))
    assert np.isnan(metrics["acc2_positive"]) and np.isnan(metrics["f1_positive"]) and np.isnan(metrics["corr"])
    assert metrics["acc2_non_negative"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(("label_range", "function"), [((-1.0, 1.0), sims_metrics), ([-3, 3], mosi_metrics)])
def test_the_label_range_chooses_the_metrics(label_range, function):
    chosen, names = metrics_for(label_range)
    assert chosen is function
    assert set(names) | {"majority"} == set(function(np.array([-0.5, 0.5]), np.array([-0.4, 0.6])))
    assert set(names) <= set(METRIC_TITLES)


def test_other_label_ranges_have_no_metrics():
    with pytest.raises(ValueError, match=r"no metrics for labels in \(0, 1\)"):
        metrics_for((0, 1))


def test_partial_correlation_takes_the_shared_part_out():
    shared, first, second = np.random.default_rng(0).normal(size=(3, 4000))
    assert correlation(shared + first, shared + second) == pytest.approx(0.5, abs=0.05)
    assert partial_correlation(shared + first, shared + second, shared) == pytest.approx(0.0, abs=0.05)
    assert partial_correlation(first + second, second, shared) == pytest.approx(0.5**0.5, abs=0.05)
    assert np.isnan(partial_correlation(shared, second, shared))
