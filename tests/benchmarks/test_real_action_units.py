"""Our action units beside OpenFace's table: frames are matched, and what does not move is not judged."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.real_action_units import agreement, correlations, report
from benchmarks.real_gaze import recorded


def write_table(path, **columns):
    pd.DataFrame(columns).rename(columns=lambda name: f" {name}").to_csv(path, index=False)  # as OpenFace writes names


def test_rows_go_to_their_frames_and_unsure_ones_are_empty(tmp_path):
    path = tmp_path / "影片 1.csv"
    write_table(path, frame=[1, 2, 4, 4, 9], face_id=[0, 0, 0, 1, 0], success=[1, 0, 1, 1, 1], AU12_r=[1.0, 2, 3, 9, 4])
    assert np.array_equal(recorded(path, ["AU12_r"], 5)[:, 0], [1, np.nan, np.nan, 3, np.nan], equal_nan=True)
    with pytest.raises(ValueError, match="gaze_angle_x"):
        recorded(path, ["gaze_angle_x"], 5)


def test_correlation_is_of_frames_that_both_have_and_of_what_moves():
    theirs = np.tile(np.linspace(0, 3, 60)[:, None], (1, 17))
    ours = 2 * theirs + 1
    theirs[:, 1], ours[:, 2] = 0.1, 0.0
    ours[::2, 0], ours[5, 3] = np.nan, 50.0
    found = correlations(ours, theirs)
    assert found[0] == pytest.approx(1) and np.isnan(found[1]) and found[2] == 0 and found[3] < 0.5
    assert np.isnan(correlations(ours[:20], theirs[:20])).all(), "too few frames"


def test_presences_agree_by_f1():
    theirs, ours = np.zeros((2, 10, 17))
    theirs[:4, 0], ours[2:6, 0], ours[:, 2] = 1, 1, np.nan
    theirs[:, 2] = 1
    found = agreement(ours, theirs)
    assert found[0] == pytest.approx(0.5) and np.isnan(found[1:3]).all()


def test_report_has_a_row_per_film_and_their_mean():
    random = np.random.default_rng(0)
    theirs = random.uniform(0, 3, (50, 17))
    films = {name: (sign * theirs, theirs, theirs > 1, theirs > 1) for name, sign in (("a", 1), ("b", -1))}
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in report(films).splitlines()}
    assert rows["a"][-1].startswith("1.00") and rows["b"][-1].startswith("-1.00")
    assert rows["mean of the films"][-1].startswith(("0.00", "-0.00"))
    assert rows["presence, F1, all frames"][-1].startswith("1.00")
