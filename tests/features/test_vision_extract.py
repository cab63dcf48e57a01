"""The whole extraction on rendered heads of known pose and gaze, and on pictures without a face."""

import cv2
import numpy as np
import pytest

from demo.calibration import shrink_face, side_by_side
from demo.head import Head
from features.action_units import neutral_of
from features.face_units import DRAWN
from features.openface import AU_INTENSITIES, COLUMNS, block_slice
from features.speaker import UNCERTAIN
from features.vision import ACTION_UNITS, VisionModels, action_unit_columns, extract_vision

N_FRAMES, SPOKEN = 100, 40
UNITS = (
    "mouthSmile",
    "browDown",
    "browInnerUp",
    "browOuterUp",
    "eyeWide",
    "eyeSquint",
    "eyeBlink",
    "noseSneer",
    "mouthUpperUp",
    "mouthFrown",
    "mouthPucker",
    "mouthPress",
    "mouthStretch",
    "mouthRollLower",
    "mouthRollUpper",
)


@pytest.fixture(scope="module")
def models():
    cv2.setNumThreads(1)
    return VisionModels()


@pytest.fixture(scope="module")
def talking():
    """Frames and truth of a talking head that turns, looks about and makes faces."""
    head = Head(11, 320, 240, supersample=1)
    time = np.arange(N_FRAMES)
    yaw, pitch, roll = (a * np.sin(time / b) for a, b in ((0.3, 9), (0.2, 6.1), (0.15, 13)))
    gaze_yaw, gaze_pitch = 0.3 * np.sin(time / 4.3), 0.2 * np.sin(time / 3.1)
    frames = []
    for i in time:
        amounts = {"jawOpen": 0.4 * np.sin(i / 1.7) ** 2}
        for number, unit in enumerate(UNITS):
            amount = max(0, np.sin(i / 7 + 2.1 * number)) ** 3
            amounts |= {name: amount for name in head.units if name in (unit, unit + "Left", unit + "Right")}
        frames.append(head.frame(amounts, (yaw[i], pitch[i], roll[i]), (gaze_yaw[i], gaze_pitch[i]), index=i))
    return frames


@pytest.fixture(scope="module")
def mouths():
    """Two people who open their mouths at different times, pictures [2, n], and the loudness of each [2, n]."""
    time = np.arange(SPOKEN)
    openings = [np.sin(time / 2.1) ** 2 * (time % 30 < 20), np.sin(time / 1.5 + 1) ** 2 * (time % 25 > 8)]
    heads = (Head(11, 320, 240, supersample=1), Head(12, 320, 240, supersample=1))
    pictures = [
        [head.frame({"jawOpen": 0.6 * float(amount)}, index=i).image for i, amount in enumerate(opening)]
        for head, opening in zip(heads, openings, strict=True)
    ]
    return pictures, [np.log(opening + 0.01) for opening in openings]


@pytest.fixture(scope="module", params=["frame", "aligned"])
def coordinates(request):
    return request.param


@pytest.fixture(scope="module")
def found(models, talking, coordinates):
    return extract_vision((frame.image for frame in talking), models, coordinates=coordinates)


def column(found, name):
    return found.values[found.success, COLUMNS.index(name)]


def test_the_face_is_found_in_every_frame(found):
    assert found.values.shape == (N_FRAMES, 709) and found.values.dtype == np.float32
    assert found.success.mean() >= 0.99
    assert np.isfinite(found.values[found.success]).all()
    assert (found.confidence[found.success] > 0.7).all() and found.confidence.max() <= 1


def test_a_rendered_head_is_known_as_one(found):
    assert found.measures[found.success][:, DRAWN].all()


def test_no_column_is_constant_over_a_talking_face(found):
    # Action units that the face does not show are rightly constant; everything else must move.
    moving = np.nanstd(found.values, 0) > 1e-6
    assert [name for name, moves in zip(COLUMNS, moving, strict=True) if not moves and not name.startswith("AU")] == []
    assert moving[block_slice("AU_r")].sum() >= 15 and moving[block_slice("AU_c")].sum() >= 12


def test_pose_follows_the_truth(found, talking, coordinates):
    truth = np.array([frame.head_pose for frame in talking])[found.success]
    axes = "xyz" if coordinates == "frame" else "xy"  # alignment takes the roll away
    for axis, name in enumerate(axes):
        assert np.corrcoef(truth[:, axis], column(found, f"pose_R{name}"))[0, 1] >= 0.9, name
    if coordinates == "aligned":
        assert column(found, "pose_Rz").std() < truth[:, 2].std() / 2


def test_gaze_follows_the_truth(found, talking):
    truth = np.array([frame.gaze.mean(0) for frame in talking])[found.success]
    assert np.corrcoef(np.arctan2(truth[:, 0], -truth[:, 2]), column(found, "gaze_angle_x"))[0, 1] >= 0.85
    for eye in (0, 1):
        direction = found.values[found.success][:, block_slice(f"gaze_{eye}")]
        assert np.allclose(np.linalg.norm(direction, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("seed", [14, 15, 16])
def test_gaze_has_the_sign_of_the_truth(models, coordinates, seed):
    head = Head(seed, 640, 480, supersample=1)
    turns = ((0, 0), (-0.35, 0), (0.35, 0), (0, 0.25), (0, -0.25))
    frames = [head.frame(gaze=turn) for turn in turns]
    found = extract_vision((frame.image for frame in frames), models, coordinates=coordinates)
    x, y = column(found, "gaze_angle_x"), column(found, "gaze_angle_y")
    true_x, true_y = (np.array([frame.gaze[0, axis] for frame in frames]) for axis in (0, 1))
    assert true_x[1] > 0.3 and true_y[3] > 0.2  # to the right of the image, and down
    assert x[1] - x[0] > 0.15 and x[2] - x[0] < -0.15
    assert y[3] - y[4] > 0.1
    assert abs(np.degrees(y[0])) < 12  # straight ahead: no large vertical bias


def test_landmarks_lie_on_the_face(models, talking):
    found = extract_vision((frame.image for frame in talking[:20]), models, coordinates="frame")
    truth = np.array([frame.landmarks_2d for frame in talking[:20]])
    points = np.stack([found.values[:, block_slice("x")], found.values[:, block_slice("y")]], 2)
    between_eyes = np.linalg.norm(truth[:, 36:42].mean(1) - truth[:, 42:48].mean(1), axis=1)
    assert (np.linalg.norm(points - truth, axis=2).mean(1) / between_eyes).max() < 0.1
    eyes = np.stack([found.values[:, block_slice("eye_lmk_x")], found.values[:, block_slice("eye_lmk_y")]], 2)
    for eye, points_68 in ((0, slice(36, 42)), (1, slice(42, 48))):  # eye 0 is left in the image
        apart = eyes[:, 28 * eye : 28 * eye + 28].mean(1) - truth[:, points_68].mean(1)
        assert (np.linalg.norm(apart, axis=1) / between_eyes).max() < 0.15


def test_points_in_space_project_to_the_pixels(found, coordinates):
    width, height = (320, 240) if coordinates == "frame" else (224, 224)
    focal = (500 * width / 640 + 500 * height / 480) / 2
    x, y, big_x, big_y, big_z = (found.values[found.success][:, block_slice(name)] for name in "xyXYZ")
    apart = np.hypot(focal * big_x / big_z + width / 2 - x, focal * big_y / big_z + height / 2 - y)
    assert apart.mean() < 0.02 * width
    assert (big_z > 0).all()


def test_aligned_faces_stay_at_one_place(models, talking):
    found = extract_vision((frame.image for frame in talking), models, coordinates="aligned")
    assert column(found, "x_30").std() < 15 and column(found, "y_30").std() < 10
    assert found.values[:, block_slice("x")].min() > 0 and found.values[:, block_slice("x")].max() < 224


def test_expressions_raise_their_action_units(models):
    head = Head(12, 320, 240, supersample=1)
    shown = {"AU12": "mouthSmile", "AU25": "jawOpen", "AU26": "jawOpen", "AU45": "eyeBlink", "AU04": "browDown"}
    for unit, name in shown.items():
        amounts = {side: 1.0 for side in head.units if side in (name, name + "Left", name + "Right")}
        frames = [head.frame(amounts if i >= 6 else {}, index=i).image for i in range(12)]
        found = extract_vision(frames, models, coordinates="aligned")
        intensity = found.values[:, COLUMNS.index(f"{unit}_r")]
        assert intensity[7:].min() > intensity[:6].max() + 0.5, unit
        assert found.values[:6, COLUMNS.index(f"{unit}_c")].max() == 0, unit
        assert found.values[7:, COLUMNS.index(f"{unit}_c")].min() == 1, unit
    assert len(AU_INTENSITIES) == 17


@pytest.mark.parametrize("picture", ["black", "noise"])
def test_no_face_in_a_picture_without_one(models, picture):
    random = np.random.default_rng(5)
    frames = [
        random.integers(0, 256, (240, 320, 3), dtype=np.uint8) if picture == "noise" else np.zeros((240, 320, 3), np.uint8)
        for _ in range(8)
    ]
    found = extract_vision(frames, models)
    assert not found.success.any() and np.isnan(found.values).all() and (found.confidence == 0).all()
    assert found.values.shape == (8, 709)


def test_a_clip_without_frames_has_no_rows(models):
    found = extract_vision([], models)
    assert found.values.shape == (0, 709) and found.success.shape == found.confidence.shape == found.track.shape == (0,)
    assert found.box.shape == (0, 4) and found.transform.shape == (0, 2, 3) and len(found.measures) == 0


def test_box_and_transform_lead_from_frame_to_columns(models, talking):
    frames = [frame.image for frame in talking[:3]]
    frame, aligned = (extract_vision(frames, models, coordinates=name) for name in ("frame", "aligned"))
    assert np.array_equal(frame.transform, np.tile(np.eye(2, 3), (3, 1, 1))) and np.array_equal(frame.box, aligned.box)
    points, moved = (np.stack([found.values[:, block_slice(axis)] for axis in "xy"], 2) for found in (frame, aligned))
    for place, there, transform, box in zip(points, moved, aligned.transform, frame.box, strict=True):
        assert np.abs(place @ transform[:, :2].T + transform[:, 2] - there).max() < 0.01
        assert (place > box[:2] - 0.01).all() and (place < box[2:] + 0.01).all()
    assert (frame.track == 0).all() and (frame.faces == 1).all() and np.isnan(frame.speaking).all()


def test_a_known_camera_sets_the_distance(models, talking):
    truth = np.array([frame.translation for frame in talking[:10]])
    frames, focal_length = [frame.image for frame in talking[:10]], 1.65 * 240
    known, unknown = (
        extract_vision(frames, models, coordinates="frame", focal_length=length).values[:, block_slice("pose_T")]
        for length in (focal_length, None)
    )
    apart = np.linalg.norm(known - truth, axis=1) / np.linalg.norm(truth, axis=1)
    assert apart.mean() < 0.1
    assert np.abs(unknown[:, 2] / known[:, 2] * focal_length / 250 - 1).max() < 0.1  # OpenFace assumes 250 pixels


def test_action_units_count_from_a_persons_neutral_face(models):
    head = Head(12, 320, 240, supersample=1)
    smile = {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8}
    found = extract_vision([head.frame(smile if i > 3 else {}, index=i).image for i in range(6)], models)
    columns = action_unit_columns(found.measures, neutral_of(found.measures))
    assert np.allclose(found.values[:, ACTION_UNITS], action_unit_columns(found.measures), atol=1e-6)
    smiling = columns[:, AU_INTENSITIES.index("AU12")]
    assert smiling[:4].max() < 0.5 and smiling[4:].min() > 1


def test_unknown_settings_are_refused(models):
    with pytest.raises(ValueError, match="aligned"):
        extract_vision([], models, coordinates="picture")
    with pytest.raises(ValueError, match="speaker"):
        extract_vision([], models, faces="all")


def test_the_track_is_taken_up_again_after_a_cut(models, talking):
    black = np.zeros((240, 320, 3), np.uint8)
    shifted = np.roll(talking[30].image, 70, axis=1)
    frames = [talking[0].image, black, black, talking[3].image, shifted, shifted]
    found = extract_vision(frames, models, coordinates="frame")
    assert found.success.tolist() == [True, False, False, True, True, True]
    assert found.values[4, COLUMNS.index("x_30")] - found.values[3, COLUMNS.index("x_30")] > 40


def test_the_larger_of_two_faces_is_taken(models, talking):
    small = cv2.resize(talking[0].image, (160, 120), interpolation=cv2.INTER_AREA)
    for left in (True, False):
        frame = np.zeros((240, 480, 3), np.uint8)
        frame[:, (160 if left else 0) : (480 if left else 320)] = talking[0].image
        frame[60:180, (0 if left else 320) : (160 if left else 480)] = small
        found = extract_vision([frame] * 3, models, coordinates="frame")
        wide = found.values[:, block_slice("x")]
        assert found.success.all()
        assert (np.ptp(wide, axis=1) > 70).all() and (wide.mean() > 240) == left


@pytest.mark.parametrize("scales", [(1, 1), (0.7, 1), (1, 0.7)])
def test_the_speaker_is_taken_whatever_the_size(models, mouths, scales):
    pictures, loudness = mouths
    frames = [
        side_by_side(*(shrink_face(person[i], scale)[0] for person, scale in zip(pictures, scales, strict=True)))
        for i in range(SPOKEN)
    ]
    for speaker in (0, 1):
        found = extract_vision(frames, models, coordinates="frame", faces="speaker", loudness=loudness[speaker])
        right = found.box[:, [0, 2]].mean(1) > 160
        assert found.success.all() and (right == bool(speaker)).all(), speaker
        assert len(found.speaking) == 2 and (found.faces == 2).all()
        assert found.speaking[found.track[0]] == found.speaking.max() > found.speaking.min() + UNCERTAIN


def test_without_sound_the_speaker_is_the_largest(models, mouths):
    pictures, _ = mouths
    frames = [side_by_side(shrink_face(one, 0.7)[0], other) for one, other in zip(*pictures, strict=True)][:3]
    found = extract_vision(frames, models, coordinates="frame", faces="speaker")
    assert (found.box[:, 0] > 160).all() and np.isnan(found.speaking).all()


def test_clips_do_not_depend_on_each_other(models, talking):
    frames = [frame.image for frame in talking[:8]]
    first = extract_vision(frames, models)
    extract_vision([np.zeros((240, 320, 3), np.uint8)] * 2 + frames[::-1], models)
    assert first.values.tobytes() == extract_vision(frames, models).values.tobytes()


def test_large_irises_once_known_count_for_the_frames_before(models):
    frame = Head(15, 320, 240, supersample=1).frame(gaze=(0.1, -0.25)).image
    clip = extract_vision([frame] * 8, models)
    gaze = np.degrees(clip.values[:, block_slice("gaze_angle")])
    assert np.abs(gaze - gaze[-1]).max() < 4
    alone = np.degrees(extract_vision([frame], models).values[:, block_slice("gaze_angle")])
    assert np.abs(alone - gaze[-1]).max() > 10  # one frame is not enough to know
