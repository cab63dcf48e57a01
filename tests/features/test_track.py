"""Following faces through cuts, exits, hidden parts and crowds; rendered heads, real networks."""

import cv2
import numpy as np
import pytest

from demo.calibration import faceless, hide, shrink_face, side_by_side
from demo.head import Head
from features.confidence import MINIMUM_CONFIDENCE, confidence_of
from features.detect import FaceDetector
from features.landmarks import landmarks_68
from features.mesh import FaceMesh, Region
from features.track import KEY_INTERVAL, SAME_PERSON, FaceTracker, Look, distance, jumped, likeness, overlap

CLOSE = 0.06  # mean error of the inner landmarks, in distances of the outer corners of the eyes


@pytest.fixture(scope="module")
def networks():
    cv2.setNumThreads(1)
    return FaceDetector(), FaceMesh()


@pytest.fixture(scope="module")
def people():
    """Ten frames each of two heads that turn a little."""
    turns = [(0.1 * np.sin(i / 3), 0.05 * np.sin(i / 4), 0) for i in range(10)]
    return [[head.frame(pose=turn, index=i) for i, turn in enumerate(turns)] for head in map(Head, (11, 12))]


def error(face, truth):
    """Of the inner landmarks of a face, [68, 2], in distances of the outer corners of the eyes."""
    apart = np.linalg.norm(landmarks_68(face.mesh.points[:, :2]) - truth, axis=1)[17:]
    return apart.mean() / np.linalg.norm(truth[45] - truth[36])


def test_a_cut_to_another_person_begins_another_track(networks, people):
    tracker = FaceTracker(*networks)
    first, second = people
    small, moved = zip(*(shrink_face(frame.image, 0.6) for frame in second), strict=True)
    tracks = [tracker.next(frame.image)[0].track for frame in first]
    for frame, image, move in zip(second, small, moved, strict=True):
        (face,) = tracker.next(image)
        assert error(face, frame.landmarks_2d @ move[:, :2].T + move[:, 2]) < CLOSE
        tracks.append(face.track)
    assert tracks == [0] * 10 + [1] * 10


def test_a_person_who_comes_back_soon_keeps_the_track(networks, people):
    tracker = FaceTracker(*networks)
    empty = faceless(1, count=1)["empty room"][0]
    pictures = [people[0][0].image] * 2 + [empty] * 3 + [people[0][1].image] * 2
    assert [[face.track for face in tracker.next(picture)] for picture in pictures] == [[0]] * 2 + [[]] * 3 + [[0]] * 2


@pytest.mark.parametrize("kind", ["empty room", "noise", "texture", "skin blocks", "skin oval"])
def test_nothing_is_followed_where_the_face_has_gone(networks, people, kind):
    tracker = FaceTracker(*networks)
    for frame in people[0][:3]:
        assert tracker.next(frame.image)
    assert not any(confidence_of(face) >= MINIMUM_CONFIDENCE for image in faceless(2)[kind] for face in tracker.next(image))


@pytest.mark.parametrize("place", [48, 36])
def test_a_hand_before_the_face_does_not_end_the_track(networks, people, place):
    tracker = FaceTracker(*networks)
    frames = people[0]
    for size, frame in zip(np.linspace(0.2, 0.7, 10), frames, strict=True):
        (face,) = tracker.next(hide(frame.image, frame.landmarks_2d, size, place))
        assert face.track == 0
    assert error(face, frames[-1].landmarks_2d) < CLOSE


def test_several_faces_keep_their_tracks(networks, people):
    tracker = FaceTracker(*networks, most=4)
    places = []
    for first, second in zip(*people, strict=True):
        faces = tracker.next(side_by_side(first.image, second.image))
        assert [face.track for face in faces] == [0, 1] and tracker.seen == 2
        places.append([face.box[[0, 2]].mean() for face in faces])
    assert np.ptp(places, axis=0).max() < 40 and np.abs(np.diff(places)).min() > 100


def test_people_of_one_size_do_not_take_turns(networks, people):
    tracker = FaceTracker(*networks)
    sides = []
    for first, second in zip(*people, strict=True):
        tracker.until_key_frame = 0  # every frame a key frame
        (face,) = tracker.next(side_by_side(first.image, second.image))
        sides.append(face.box[[0, 2]].mean() > 160)
    assert len(set(sides)) == 1


def test_a_much_larger_face_is_turned_to_on_a_key_frame(networks, people):
    tracker = FaceTracker(*networks)
    alone = shrink_face(people[0][0].image, 0.5)[0]
    both = side_by_side(alone, people[1][0].image)
    (face,) = tracker.next(side_by_side(alone, np.zeros_like(alone)))
    assert face.track == 0 and face.box[2] < 160
    tracker.until_key_frame = 0
    (face,) = tracker.next(both)
    assert face.track == 1 and face.box[0] > 100


def test_a_still_head_hardly_trembles(networks, people):
    tracker = FaceTracker(*networks)
    image, random = people[0][0].image, np.random.default_rng(3)
    noisy = [np.uint8(np.clip(image + random.normal(0, 3, image.shape), 0, 255)) for _ in range(8)]
    points = [landmarks_68(tracker.next(picture)[0].mesh.points[:, :2]) for picture in noisy]
    assert np.std(points, axis=0).mean() < 0.5


def test_a_face_that_mtcnn_does_not_confirm_counts_less(people, networks):
    class Blind:
        def detect(self, frame, smallest):
            return []

    tracker = FaceTracker(*networks)
    (before,) = tracker.next(people[0][0].image)
    tracker.detector, tracker.until_key_frame = Blind(), 0
    (after,) = tracker.next(people[0][0].image)
    assert after.track == before.track and after.detection is None
    doubt_before, doubt_after = (1 - confidence_of(face) for face in (before, after))
    assert doubt_after > 4 * doubt_before
    assert tracker.until_key_frame == KEY_INTERVAL - 1


def test_confidence_falls_with_blur_and_darkness(networks, people):
    image = people[0][0].image
    spoilt = [image, cv2.GaussianBlur(image, (0, 0), 2), cv2.GaussianBlur(image, (0, 0), 4)]
    confidences = [confidence_of(face) for picture in spoilt for face in FaceTracker(*networks).next(picture)]
    assert confidences[0] > 0.8 and np.all(np.diff(confidences) < 0)


def test_distance_of_squares():
    square = Region(np.array([100.0, 50]), 0.1, 200.0)
    assert distance(square, square) == 0
    assert np.isclose(distance(square, Region(square.centre + [0, 20], 0.1, 200.0)), 0.1)
    assert np.isclose(distance(square, Region(square.centre, 0.1, 220.0)), np.log(1.1))
    assert np.isclose(distance(square, Region(square.centre, 0.1 - 2 * np.pi + 0.3, 200.0)), 0.3)


def test_likeness_of_pictures():
    picture = np.random.default_rng(1).normal(size=(16, 16))
    assert np.isclose(likeness(picture, 3 * picture + 7), 1) and np.isclose(likeness(picture, -picture), -1)
    assert likeness(picture, np.ones((16, 16))) == 0


def test_overlap_and_jump_of_boxes():
    box = np.array([10.0, 10, 30, 30])
    assert overlap(box, box) == 1 and overlap(box, box + 100) == 0
    assert np.isclose(overlap(box, box + [10, 0, 10, 0]), 1 / 3)
    assert not jumped(box, box + 3) and jumped(box, box + 15) and jumped(box, np.array([10.0, 10, 50, 50]))


def test_two_people_in_turn_in_one_place_are_not_one_track(networks, people):
    tracker = FaceTracker(*networks)
    shots = [person[start : start + 3] for start in (0, 3, 6) for person in people]
    tracks = [[tracker.next(frame.image)[0].track for frame in shot] for shot in shots]
    assert all(len(set(shot)) == 1 for shot in tracks)
    assert {shot[0] for shot in tracks[::2]}.isdisjoint(shot[0] for shot in tracks[1::2])


def test_a_head_that_moves_fast_keeps_its_track(networks, people):
    tracker = FaceTracker(*networks)
    image = shrink_face(people[0][0].image, 0.5)[0]
    sides = [0, 30, -10, 20, 50, 10, -30, 5]
    moved = [
        cv2.warpAffine(image, np.float64([[1, 0, x], [0, 1, 0]]), (320, 240), borderMode=cv2.BORDER_REPLICATE) for x in sides
    ]
    assert [[face.track for face in tracker.next(picture)] for picture in moved] == [[0]] * len(sides)


def test_light_and_turn_change_a_look_less_than_another_person(networks, people):
    detector, mesh = networks
    (first, turned, other) = (person[i].image for person, i in zip((people[0], people[0], people[1]), (0, 5, 0), strict=True))

    def look(frame):
        (face,) = detector.detect(frame)
        return Look.of(frame, mesh.find(frame, face.box, face.points[:2]))

    whole = look(first)
    assert np.isclose(whole.agreement(whole), 1, atol=1e-6)
    assert whole.agreement(look(np.uint8(first * 0.4))) > 0.7
    assert whole.agreement(look(turned)) > SAME_PERSON > whole.agreement(look(other))
    for one, another in ((first, other), (turned, other)):
        assert np.isclose(look(one).agreement(look(another)), look(another).agreement(look(one)))


def test_a_face_40_pixels_high_is_found_in_720_lines(networks, people):
    scene = cv2.resize(faceless(1, count=1)["empty room"][0], (1280, 720))
    for frame, (x, y) in zip((people[0][0], people[1][0]), ((250, 150), (900, 500)), strict=True):
        height = np.ptp(frame.landmarks_2d[:, 1])  # brows to chin
        small = cv2.resize(frame.image, None, fx=35 / height, fy=35 / height, interpolation=cv2.INTER_AREA)
        picture = scene.copy()
        picture[y : y + small.shape[0], x : x + small.shape[1]] = small
        (face,) = FaceTracker(*networks).next(picture)
        assert confidence_of(face) >= MINIMUM_CONFIDENCE
        assert x < face.box[0] and face.box[2] < x + small.shape[1]
