"""The confidence of faces whose measures of trust are given."""

from dataclasses import replace

import numpy as np
import pytest

from features.confidence import (
    MINIMUM_CONFIDENCE,
    SURE,
    SURELY_DETECTED,
    confidence_of,
    load_people,
    measures_of_trust,
    strangeness_of,
)
from features.detect import Face
from features.mesh import MeshFace, Region
from features.pose import rotation_matrix
from features.track import Look, TrackedFace


def face(presence=14.0, probability=0.999, sharpness=12.0, strange=0.004):
    """A face of people's mean shape, as far off it as a direction in which people do not differ is `strange`."""
    mean, directions = load_people()
    odd = np.random.default_rng(0).normal(size=mean.size)
    odd -= (directions @ odd) @ directions
    points = np.zeros((478, 3))
    points[:468] = 100 * (mean + strange * (odd / np.linalg.norm(odd)).reshape(mean.shape))
    mesh = MeshFace(points, {}, presence, Region(np.zeros(2), 0.0, 100.0), np.zeros((16, 16)), sharpness)
    return TrackedFace(mesh, 0, Face(np.array([0.0, 0, 1, 1]), probability, np.zeros((5, 2))) if probability else None)


def test_a_good_face_is_nearly_sure_and_a_bad_one_is_left_out():
    assert 0.95 < confidence_of(face()) < 1
    assert confidence_of(face(presence=0.5, probability=None, sharpness=1.0, strange=0.01)) < MINIMUM_CONFIDENCE


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"presence": 9.0}, {"presence": 3.0}),
        ({"probability": 0.99}, {"probability": 0.8}),
        ({"probability": 0.9}, {"probability": None}),
        ({"strange": 0.005}, {"strange": 0.02}),
        ({"sharpness": 6.0}, {"sharpness": 2.0}),
    ],
)
def test_each_measure_counts_in_its_direction(better, worse):
    assert confidence_of(face(**better)) > confidence_of(face(**worse))


def test_a_hidden_eye_or_glaring_light_alone_does_not_lose_a_face():
    assert confidence_of(face(probability=None)) > MINIMUM_CONFIDENCE


def test_measures_end_where_they_say_no_more():
    assert measures_of_trust(face(presence=40.0))["presence"] == SURE
    assert measures_of_trust(face(probability=1.0))["detection"] == SURELY_DETECTED
    assert np.isfinite(list(measures_of_trust(face(probability=0.0, sharpness=0.0)).values())).all()


def test_no_shape_of_people_is_a_doubtful_face():
    assert confidence_of(face(strange=0.05)) < MINIMUM_CONFIDENCE < 0.9 < confidence_of(face(strange=0.005))


def test_pose_and_size_of_a_face_are_not_strange():
    straight = face(strange=0.02)
    turned = 3 * straight.mesh.points @ rotation_matrix(np.array([0.3, -0.5, 0.2])).T + [50, 80, 0]
    again = replace(straight, mesh=replace(straight.mesh, points=turned))
    assert measures_of_trust(again)["strangeness"] == pytest.approx(measures_of_trust(straight)["strangeness"], abs=1e-6)
    assert strangeness_of(Look.shape_of(straight.mesh)) == pytest.approx(0.02, rel=0.02)
