import numpy as np
import pytest

from demo.labels import DISTANCES, HISTOGRAMS, LABELS, VALUES, draw_labels, draw_modes, label_classes, label_distances


@pytest.mark.parametrize("clips", [12, 240, 2281])
def test_each_label_has_its_share_of_every_value(clips):
    labels = draw_labels(clips, seed=1)
    for column, label in enumerate(LABELS):
        counts = np.array([np.isclose(labels[:, column], value).sum() for value in VALUES])
        assert counts.sum() == clips
        expected = HISTOGRAMS[label] / HISTOGRAMS[label].sum() * clips
        assert np.abs(counts - expected).max() < 1


def test_multimodal_histogram_is_the_published_one():
    # Yu et al. 2020, Table 2: clips per class of CH-SIMS over the three splits.
    labels = draw_labels(2281, seed=5)
    assert np.bincount(label_classes(labels[:, 0])).tolist() == [754, 484, 345, 346, 352]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_distances_are_near_the_published_ones(seed):
    found = label_distances(draw_labels(240, seed))
    for pair, expected in DISTANCES.items():
        assert found[pair] == pytest.approx(expected, abs=0.03), pair


def test_distances_hold_in_a_large_corpus():
    found = label_distances(draw_labels(20000, seed=1))
    for pair, expected in DISTANCES.items():
        assert found[pair] == pytest.approx(expected, abs=0.01), pair


def test_splits_are_six_two_two_within_each_class():
    labels = draw_labels(240, seed=1)[:, 0]
    modes = draw_modes(labels, seed=1)
    assert [int((modes == mode).sum()) for mode in ("train", "valid", "test")] == [144, 48, 48]
    for one_class in range(5):
        members = modes[label_classes(labels) == one_class]
        for mode, share in (("train", 0.6), ("valid", 0.2), ("test", 0.2)):
            assert abs((members == mode).sum() - share * len(members)) <= 1


def test_same_seed_same_labels():
    assert np.array_equal(draw_labels(50, seed=7), draw_labels(50, seed=7))
    assert not np.array_equal(draw_labels(50, seed=7), draw_labels(50, seed=8))
