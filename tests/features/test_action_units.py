"""Action units on known answers, without networks: the average face with a drawn picture on it."""

import cv2
import numpy as np
import pytest

from features.action_units import (
    CHEEKS_AT_REST,
    CHEEKS_RAISED,
    INNER_LIPS,
    LASTING,
    action_units,
    driven,
    heights_of,
    load_table,
    measure_count,
    measures_of,
    neutral_of,
    place_of,
    seen_of,
)
from features.face_units import BASE_BLENDSHAPES, CHEEKS, DRAWN, EYE_CELL, EYES, UprightFace, edges, load_face_units
from features.mesh import BLENDSHAPES
from features.openface import AU_INTENSITIES, AU_PRESENCES
from features.pose import rotation_matrix

MODEL = load_face_units()
REST = dict.fromkeys(BLENDSHAPES, 0.0)
SHAPE = slice(1, 1 + 3 * len(MODEL.upright.half))
ACTIVATIONS = slice(SHAPE.stop, SHAPE.stop + len(BASE_BLENDSHAPES))


@pytest.fixture(scope="module")
def frame():
    """A picture of soft blobs, [shape=(240, 320, 3)]."""
    blobs = np.random.default_rng(3).uniform(0, 255, (240, 320, 3)).astype(np.float32)
    return np.uint8(np.clip(8 * (cv2.GaussianBlur(blobs, (0, 0), 5) - 127) + 127, 0, 255))


def posed(angles=(0, 0, 0), scale=62.0, place=(160, 110, 0)):
    return scale * MODEL.face @ rotation_matrix(np.array(angles, float)).T + place


def frames_of(amplitudes: dict[str, float], count=1, drawn=True):
    """Measures [count, m] of a population's face whose face units have these amplitudes, as the fit has learned them."""
    row = np.append(MODEL.neutral, [CHEEKS_AT_REST[0], drawn])
    row[0] = 0  # looks into the camera
    for unit, amplitude in amplitudes.items():
        row[1:CHEEKS] += amplitude * MODEL.responses[MODEL.units.index(unit)]
    return np.tile(row, (count, 1))


def test_table_names_known_units_in_the_order_of_the_columns():
    table = load_table()
    assert tuple(table) == AU_PRESENCES and set(AU_INTENSITIES) < set(table)
    assert {unit for line in table.values() for unit in line.units} <= set(MODEL.units)
    assert all(0 < line.full <= 1 and 0 < line.present < 2.5 for line in table.values())


def test_driven_follows_the_table():
    amplitudes = {"jawOpen": np.array([0, 0.5, 1, 1]), "mouthClose": np.array([0, 0, 0, 1.0])}
    found = dict(zip(AU_PRESENCES, driven(amplitudes).T, strict=True))
    assert found["AU26"].tolist() == [0, 0.5, 1, 1] and found["AU25"].tolist() == [0, 0.5, 1, 0]
    assert not found["AU12"].any()


@pytest.mark.parametrize("angles", [(0, 0, 0), (0.3, 0, 0), (-0.2, 0.5, 0), (0, -0.4, 0.6)])
def test_shape_does_not_depend_on_pose_and_size(frame, angles):
    measures = measures_of(posed(angles, scale=47, place=(130, 120, 9)), REST, frame)
    assert measures.shape == (measure_count(),) and measures.dtype == np.float32
    assert np.allclose(measures[SHAPE], MODEL.face[MODEL.upright.half].ravel(), atol=1e-4)
    turn = rotation_matrix(np.array(angles, float))[:2, 2]
    assert np.isclose(measures[0], (turn**2).sum(), atol=1e-5)


def test_a_mirror_changes_nothing(frame):
    points = posed((0.1, 0.3, -0.2))
    points[[61, 50, 105]] += [2, -3, 1]  # no longer symmetric
    other = points[MODEL.upright.mirror] * [-1, 1, 1] + [frame.shape[1], 0, 0]
    left, right = REST | {"mouthSmileLeft": 0.8}, REST | {"mouthSmileRight": 0.8}
    measures, mirrored = measures_of(points, left, frame), measures_of(other, right, np.ascontiguousarray(frame[:, ::-1]))
    assert np.allclose(measures, mirrored, atol=0.03) and np.abs(measures - mirrored).mean() < 2e-3
    assert np.isclose(measures[ACTIVATIONS][BASE_BLENDSHAPES.index("mouthSmile")], 0.4)


def test_upright_picture_turns_the_face_back(frame):
    upright = MODEL.upright
    straight = upright.picture(frame, upright.pose(posed()))
    centre, scale, angle = np.array([160.0, 110]), 1.7, 0.4
    turn = scale * rotation_matrix(np.array([0, 0, angle]))[:2, :2]
    moved = cv2.warpAffine(frame, np.column_stack([turn, centre - turn @ centre + (scale - 1) * 0.5]), (320, 240))
    again = upright.picture(moved, upright.pose(posed((0, 0, angle), 62 * scale)))
    assert straight.shape == (84, 72, 3)
    inside = np.s_[20:60, 15:57]  # the rest left the frame
    assert np.abs(straight[inside].astype(float) - again[inside]).mean() < 3


def test_large_faces_are_shrunk_without_skipping_pixels():
    stripes = np.zeros((1080, 1920, 3), np.uint8)
    stripes[:, ::2] = 255  # finer than the upright picture: grey
    picture = MODEL.upright.picture(stripes, MODEL.upright.pose(posed((0, 0, 0), 400, (960, 500, 0))))
    assert np.abs(picture.astype(float) - 127.5).max() < 10


def test_edges_tell_direction_not_contrast():
    ramp = np.tile(np.arange(72, dtype=np.uint8)[None, :, None], (84, 1, 3))
    down = np.tile(np.arange(84, dtype=np.uint8)[:, None, None], (1, 72, 3))
    for cell, rows in ((6, slice(None)), (EYE_CELL, EYES)):
        strong, weak = edges(3 * down[rows], cell), edges(2 * down[rows], cell)
        assert strong[..., 2].min() > 0.5 and strong[..., [0, 1, 3]].max() == 0
        assert np.allclose(strong, weak, atol=0.1)
    sideways = edges(3 * ramp, 6)
    assert np.allclose(sideways[..., 0], sideways[..., 1])  # right on one side of the face, left on the other


@pytest.mark.parametrize("place", [(5, 235, 0), (-900, 100, 0), (1200, 900, 0)])
def test_faces_beyond_the_border_have_measures_too(frame, place):
    assert np.isfinite(measures_of(posed(scale=150, place=place), REST, frame)).all()


def test_size_of_the_picture_does_not_count(frame):
    small, large = posed(), posed(scale=310, place=(800, 550, 0))
    enlarged = cv2.resize(frame, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    assert np.abs(measures_of(small, REST, frame) - measures_of(large, REST, enlarged)).mean() < 0.02


def test_active_units_are_found_and_compete():
    person = frames_of({})[0]
    shown = {"AU12": "mouthSmile", "AU26": "jawOpen", "AU04": "browDown", "AU45": "eyeBlink", "AU09": "noseSneer"}
    for action_unit, unit in shown.items():
        intensity, presence = action_units(np.concatenate([frames_of({unit: a}) for a in (0, 0.25, 0.5, 1)]), person)
        own = AU_INTENSITIES.index(action_unit)
        assert intensity[0].max() == 0 and presence[0].max() == 0
        assert (np.diff(intensity[:, own]) > 0.7).all() and intensity[3, own] > 4.5
        assert presence[3, AU_PRESENCES.index(action_unit)] == 1
        related = {"AU25", "AU26"} if unit == "jawOpen" else {action_unit}
        others = [i for i, name in enumerate(AU_INTENSITIES) if name not in related]
        assert intensity[3, others].max() < 0.7, unit
    both, _ = action_units(frames_of({"mouthSmile": 0.8, "cheekSquint": 0.6}), person)
    assert np.allclose(both[0, [AU_INTENSITIES.index(name) for name in ("AU12", "AU06")]], [4, 3], atol=0.8)


@pytest.mark.parametrize("unit", [name for name, line in load_table().items() if line.seen])
def test_what_the_mesh_sees_is_half_of_an_intensity_of_people(unit):
    """From a person's rest to its fullest; a drawn face is what the fit finds alone."""
    seen, column = load_table()[unit].seen, AU_INTENSITIES.index(unit)
    at_rest = frames_of({}, drawn=False)[0]
    rows = np.tile(at_rest, (3, 1))
    place = heights_of(INNER_LIPS)[1] if seen.what == "lipsApart" else place_of(seen.what)
    rest = seen_of(at_rest, seen.what)
    rows[:, place] += np.array([0, 0.5, 1]) * (seen.full - rest)
    found = [action_units(rows, neutral)[0][:, column] for neutral in (at_rest, None)]
    assert found[0][0] == 0 and found[0][1] >= 1.25 - 1e-6 and found[0][2] >= 2.5 - 1e-6
    assert found[1][2] >= 2.5 - 1e-6, "from the population's rest, too"
    drawn = rows.copy()
    drawn[:, DRAWN] = 1
    assert action_units(drawn, at_rest)[0][2, column] < found[0][2]


def test_lips_apart_are_seen_where_they_are():
    rows = frames_of({}, 2, drawn=False)
    upper, lower = heights_of(INNER_LIPS)
    rows[1, lower] += 0.2
    assert seen_of(rows, "lipsApart") == pytest.approx(rows[0, lower] - rows[0, upper] + [0, 0.2])


def test_a_film_may_hold_people_and_drawn_faces():
    drawn, people = frames_of({"mouthSmile": 0.8}, 2), frames_of({"mouthSmile": 0.8}, 2, drawn=False)
    together = action_units(np.concatenate([drawn, people, drawn]), frames_of({})[0])[0]
    apart = [action_units(rows, frames_of({})[0])[0] for rows in (drawn, people, drawn)]
    assert np.array_equal(together, np.concatenate(apart)) and not np.allclose(apart[0], apart[1])


def test_turned_heads_need_more_evidence():
    rows = frames_of({"eyeWide": 0.6}, 3)
    rows[:, 0] = [0, 0.1, 0.3]
    intensity = action_units(rows, frames_of({})[0])[0][:, AU_INTENSITIES.index("AU05")]
    assert intensity[0] > intensity[1] > intensity[2]


def test_neutral_is_the_median_of_the_frames_with_a_face():
    rows = np.concatenate([frames_of({}, 4), frames_of({"jawOpen": 1}, 3), np.full((2, measure_count()), np.nan)])
    assert np.allclose(neutral_of(rows), frames_of({})[0], atol=1e-6)
    nobody = neutral_of(rows[-2:])
    assert nobody.shape == (measure_count(),) and np.isnan(nobody).all()
    assert np.isnan(neutral_of(rows[:0])).all()


def test_a_speakers_jaw_is_closed_at_rest():
    speaking = frames_of({"jawOpen": 0.4, "browDown": 0.3}, 5)
    column = [AU_INTENSITIES.index(name) for name in ("AU26", "AU04")]
    assert np.allclose(action_units(speaking, neutral_of(speaking))[0][:, column], [2, 0], atol=0.4)


def test_a_persons_neutral_face_counts():
    frowning = frames_of({"browDown": 0.5}, 5)  # a person whose brows are low
    frowning[:, place_of("browDown")] = 0.2  # as people's activation is at rest
    column = AU_INTENSITIES.index("AU04")
    population, person = action_units(frowning)[0], action_units(frowning, neutral_of(frowning))[0]
    assert population[:, column].min() > 1.5 and person.max() == 0
    unknown = np.full(measure_count(), np.nan)  # no frame of the person has a face
    assert np.array_equal(action_units(frowning, unknown)[0], population)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize(("unit", "name"), [("mouthSmile", "AU12"), ("browDown", "AU04"), ("jawOpen", "AU26")])
def test_an_expression_counts_however_long_it_lasts(unit, name, share):
    """Whoever laughs, frowns or speaks through a scene is not measured as neutral, nor rest as the opposite."""
    count = int(21 * share)
    shown = frames_of({unit: 0.9}, count)
    shown[:, place_of(LASTING[unit][0])] = 0.9
    rows = np.concatenate([frames_of({}, 21 - count), shown])
    intensity, _ = action_units(rows, neutral_of(rows))
    assert intensity[21 - count :, AU_INTENSITIES.index(name)].min() > 3.8
    assert intensity[: 21 - count].max(initial=0) < 0.7


def test_the_mesh_sees_the_cheeks_that_a_smile_raises():
    rows = frames_of({"mouthSmile": 0.4}, 2)
    rows[1, CHEEKS] = CHEEKS_RAISED
    intensity, _ = action_units(rows, frames_of({})[0])
    smile, cheeks = (intensity[:, AU_INTENSITIES.index(name)] for name in ("AU12", "AU06"))
    assert cheeks[0] == 0 and cheeks[1] == pytest.approx(smile[1], abs=1e-6) and smile[1] > 2
    still = frames_of({})
    still[:, CHEEKS] = CHEEKS_RAISED
    assert action_units(still, frames_of({})[0])[0].max() == 0, "cheeks alone tell nothing"


def test_frames_without_a_face_stay_empty():
    rows = np.concatenate([frames_of({"mouthSmile": 1}), np.full((1, measure_count()), np.nan), frames_of({})])
    intensity, presence = action_units(rows, frames_of({})[0])
    assert intensity.shape == (3, 17) and presence.shape == (3, 18)
    assert np.isnan(intensity[1]).all() and np.isnan(presence[1]).all()
    assert np.isfinite(intensity[[0, 2]]).all() and set(np.unique(presence[[0, 2]])) == {0.0, 1.0}
    assert 0 <= np.nanmin(intensity) and np.nanmax(intensity) <= 5
    for empty in (rows[:0], rows[1:2]):
        intensity, presence = action_units(empty)
        assert len(intensity) == len(presence) == len(empty) and not np.isfinite(intensity).any()


def test_average_face_is_its_own_mirror_image():
    mirror = UprightFace(MODEL.face).mirror
    assert np.array_equal(mirror[mirror], np.arange(478))
    assert np.allclose(MODEL.face[mirror] * [-1, 1, 1], MODEL.face, atol=1e-5)
