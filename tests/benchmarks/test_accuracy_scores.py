"""Scores of the vision benchmark on measurements whose error is known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import accuracy_action_units as units
from benchmarks import accuracy_dlib
from benchmarks.accuracy_clips import Clip, join
from benchmarks.accuracy_scores import (
    disturbed_scores,
    explained_variance,
    gaze_rows,
    heads_of,
    jitter_rows,
    landmark_rows,
    pose_rows,
    reliability,
    success_rows,
)
from benchmarks.accuracy_speakers import in_clips, path
from benchmarks.vision_accuracy import second_opinion
from demo.calibration import shots
from demo.mesh import unit_names
from demo.pose import euler_to_rotation
from features.confidence import MINIMUM_CONFIDENCE
from features.openface import AU_INTENSITIES, AU_PRESENCES, block_slice
from features.shape_model import load_shape_model

N = 60
INTER_OCULAR = 80.0  # pixels


@pytest.fixture
def random():
    return np.random.default_rng(4)


@pytest.fixture
def exact(random):
    """A clip on which everything is measured without error."""
    pose, gaze = random.uniform(-20, 20, (N, 3)), np.tile([0.0, 0, -1], (N, 2, 1))
    landmarks, eyes = random.uniform(0, 200, (N, 68, 2)), random.uniform(0, 200, (N, 2, 28, 2))
    translation, amounts = random.normal(0, 20, (N, 3)) + [0, 0, 600], random.uniform(0, 0.4, (N, 52))
    clip = Clip(
        part=np.full(N, "mixture"),
        driven=np.full(N, ""),
        seed=np.arange(N) % 2,
        landmarks=landmarks,
        eyes=eyes,
        landmarks_3d=np.zeros((N, 68, 3)),
        inter_ocular=np.full(N, INTER_OCULAR),
        pose=pose,
        translation=translation,
        gaze=gaze,
        units=amounts,
        values=np.zeros((N, 709)),
        success=np.ones(N, bool),
        confidence=np.full(N, 0.95),
        track=np.zeros(N, int),
        intensities=np.zeros((N, 17)),
    )
    true = units.strengths(clip)
    return with_columns(
        clip,
        x=landmarks[:, :, 0],
        y=landmarks[:, :, 1],
        eye_lmk_x=eyes[..., 0].reshape(N, -1),
        eye_lmk_y=eyes[..., 1].reshape(N, -1),
        pose_R=np.radians(pose),
        pose_T=translation,
        gaze_0=gaze[:, 0],
        gaze_1=gaze[:, 1],
        AU_r=5 * true[:, [AU_PRESENCES.index(name) for name in AU_INTENSITIES]],
        AU_c=true >= units.DRIVEN,
    )


def with_columns(clip, **blocks):
    values = clip.values.copy()
    for name, columns in blocks.items():
        values[:, block_slice(name)] = columns
    return replace(clip, values=values)


def number(row):
    return float(row.measured.split()[0])


def test_without_error_everything_is_met(exact):
    rows = [*landmark_rows(exact), *pose_rows(exact), *gaze_rows(exact)]
    assert all(row.met is not False for row in rows) and all(number(row) == 0 for row in rows)
    assert all(r > 0.999 for r in units.correlations(exact))


def test_errors_of_landmarks_are_parts_of_the_inter_ocular_distance(exact):
    moved = with_columns(exact, x=exact.landmarks[:, :, 0] + 0.04 * INTER_OCULAR)
    inner, jaw, *eyes = landmark_rows(moved)
    assert number(inner) == number(jaw) == 4 and (inner.met, jaw.met) == (False, True)
    assert all(number(row) == 0 for row in eyes)


def test_bias_and_slope_of_the_pose(exact):
    measured = exact.pose * [1, 1.2, 1] + [3, 0, 0]
    pitch, yaw, roll, translation = pose_rows(with_columns(exact, pose_R=np.radians(measured)))
    assert "bias +3.00, slope 1.000" in pitch.measured and not pitch.met
    assert "slope 1.200" in yaw.measured and number(roll) == 0 and translation.met


def test_a_constant_error_of_the_gaze_is_a_bias(exact):
    turned = euler_to_rotation(np.radians(4), 0, 0) @ [0, 0, -1]
    down = with_columns(exact, gaze_0=turned, gaze_1=turned, gaze_angle=[0, np.radians(4)])
    angle, sideways, upright = gaze_rows(down)
    assert number(angle) == number(upright) == 4 and (angle.met, sideways.met, upright.met) == (True, True, False)


def test_gaze_of_shut_eyes_is_not_judged(exact):
    shut = exact.units.copy()
    shut[0, [unit_names().index(f"eyeBlink{side}") for side in ("Left", "Right")]] = 1
    wrong = np.tile([0.0, 0, -1], (N, 1))
    wrong[0] = [1, 0, 0]
    assert number(gaze_rows(with_columns(replace(exact, units=shut), gaze_0=wrong, gaze_1=wrong))[0]) == 0
    assert number(gaze_rows(with_columns(exact, gaze_0=wrong, gaze_1=wrong))[0]) > 1


def test_a_face_where_there_is_none_fails(exact):
    nothing = replace(exact, success=np.zeros(N, bool))
    found, false = success_rows(nothing, exact)
    assert number(found) == 0 and not found.met and number(false) == N and not false.met
    assert all(row.met for row in success_rows(exact, nothing))


def test_jitter_is_the_spread_of_the_points(exact, random):
    still = replace(exact, part=np.full(N, "still"))
    steps = np.where(np.arange(N) // 2 % 2, 0.5, -0.5)[:, None]
    points, pose = jitter_rows(with_columns(still, x=100 + steps, y=100, pose_R=np.radians(steps)))
    assert number(points) == 0.5 and points.met and number(pose) == 0.5 and not pose.met


def test_reliability_of_an_honest_and_of_a_boasting_confidence(exact):
    right = np.arange(N) % 4 != 0
    shift = np.where(right, 0, 0.2 * INTER_OCULAR)[:, None]
    clip = with_columns(exact, x=exact.landmarks[:, :, 0] + shift)
    for confidence, error in ((0.75, 0), (0.95, 0.2)):
        bins, measured = reliability(replace(clip, confidence=np.full(N, confidence)))
        assert bins[:, 0].sum() == N and measured == pytest.approx(error)
        assert bins[int(10 * confidence), 2] == 0.75


def test_frames_without_anything_found_have_no_confidence_to_judge(exact):
    bins, _ = reliability(replace(exact, track=np.where(np.arange(N) < 10, -1, 0)))
    assert bins[:, 0].sum() == N - 10


def test_uncertain_frames_count_as_not_found(exact):
    half = replace(exact, confidence=np.where(np.arange(N) < N // 2, MINIMUM_CONFIDENCE - 0.05, 0.9))
    scores = disturbed_scores(half, units.correlations)
    assert scores["found, %"] == 50 and scores["inner 51 points, %"] == 0
    nothing = disturbed_scores(replace(exact, confidence=np.zeros(N)), units.correlations)
    assert nothing == {"found, %": 0, "mean confidence": 0}


def test_shapes_of_the_model_are_explained_wherever_they_stand(random):
    model = load_shape_model()
    shapes = np.array([model.shape(random.normal(0, model.deviations)) for _ in range(40)])
    moved = 1.1 * np.concatenate([model.mean[None], shapes]) @ euler_to_rotation(0.2, -0.3, 0.1).T + [10, -20, 600]
    assert explained_variance([moved], model) > 0.999
    noisy = moved + random.normal(0, 6, moved.shape)
    assert explained_variance([noisy], model) < 0.9


def test_the_shape_of_a_head_does_not_depend_on_where_it_is(exact, random):
    shape = random.normal(0, 50, (68, 3))
    rotations = np.array([euler_to_rotation(*angles) for angles in np.radians(exact.pose)])
    points = shape @ rotations.transpose(0, 2, 1) + exact.translation[:, None]
    part = np.where(np.arange(N) < 4, "still", "mixture")
    heads = heads_of(replace(exact, landmarks_3d=points, part=part))
    assert len(heads) == 2 and all(np.allclose(head, shape) for head in heads)


def test_one_side_drives_an_action_unit_by_half(exact):
    amounts = np.zeros((N, 52))
    amounts[:, unit_names().index("browDownLeft")] = 1
    strength = dict(zip(AU_PRESENCES, units.strengths(replace(exact, units=amounts))[0], strict=True))
    assert strength["AU04"] == pytest.approx(0.5) and strength["AU12"] == 0


def test_cross_talk_names_what_moves_more_than_the_driven_one():
    matrix = np.eye(len(AU_INTENSITIES)) * 4
    assert units.above_the_diagonal(matrix) == []
    matrix[AU_INTENSITIES.index("AU02"), AU_INTENSITIES.index("AU04")] = 4.5
    assert units.above_the_diagonal(matrix) == [("AU02", "AU04")]


def test_f1():
    true = np.array([True, True, False, False])
    assert units.f1(true, true) == 1 and units.f1(~true, true) == 0
    assert units.f1(np.array([True, False, True, False]), true) == 0.5


def test_a_path_goes_to_the_nearest_that_is_left():
    places = np.array([0.0, 10, 1, 9, 4])[:, None, None].repeat(2, 2)
    assert path(places).tolist() == [4, 2, 0, 3, 1]


def test_clips_are_joined_in_order(exact):
    both = join([exact, exact.where(np.arange(3))])
    assert len(both) == N + 3 and np.array_equal(both.pose[N:], exact.pose[:3])


def test_every_picture_is_shown_once_and_sweeps_stay_in_order(random):
    taken = shots(5)
    frames = [SimpleNamespace(landmarks_2d=random.uniform(0, 200, (68, 2))) for _ in taken]
    clips = in_clips(taken, frames)
    assert sorted(np.concatenate(clips).tolist()) == list(range(len(taken)))
    assert all(len({taken[i].part for i in clip}) == 1 for clip in clips)
    sweeps = [np.abs([taken[i].pose for i in clip]) for clip in clips if taken[clip[0]].part == "pose"]
    assert len(sweeps) == 3 and all((poses.max(0) > 0.1).sum() == 1 for poses in sweeps)


def test_without_dlib_the_report_says_how_to_install_it():
    assert "requirements-benchmarks.txt" in second_opinion([])


def test_dlib_is_judged_by_groups_of_points(exact):
    truth = np.zeros((N, 68, 2))
    lower_brows = truth.copy()
    lower_brows[:, 17:27, 1] = 0.04
    rows = {row[0]: row[1:] for row in accuracy_dlib.table([accuracy_dlib.SecondOpinion(lower_brows, truth)])}
    assert rows["brows"] == ["+0.0, +4.0", "4.0", "4.0", "0.0"] and rows["mouth"][1] == "0.0"


def test_points_stand_upright_whatever_the_head_does(exact):
    leaning = exact.landmarks.copy()
    leaning[:, 36], leaning[:, 45] = [100, 100], [100, 180]  # the eyes stand one above the other
    clip = replace(exact, landmarks=leaning)
    apart = accuracy_dlib.upright(leaning + [0, 0.1 * INTER_OCULAR], clip)
    assert np.allclose(apart, [0.1, 0])
