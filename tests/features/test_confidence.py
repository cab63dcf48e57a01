"""The confidence of faces whose measures of trust are given."""

from dataclasses import replace

import numpy as np
import pytest

from features.confidence import MINIMUM_CONFIDENCE, SURE, confidence_of, measures_of_trust
from features.mesh import MeshFace, Region
from features.track import UNCONFIRMED, TrackedFace


def face(presence=14.0, disagreement=0.05, sharpness=8.0):
    mesh = MeshFace(np.zeros((478, 3)), {}, presence, Region(np.zeros(2), 0.0, 100.0), np.zeros((16, 16)), sharpness)
    return TrackedFace(mesh, 0, None, disagreement)


def test_a_good_face_is_nearly_sure_and_a_bad_one_is_left_out():
    assert 0.95 < confidence_of(face()) < 1
    assert confidence_of(face(presence=0.5, disagreement=UNCONFIRMED, sharpness=1.0)) < MINIMUM_CONFIDENCE


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"presence": 9.0}, {"presence": 3.0}),
        ({"disagreement": 0.06}, {"disagreement": 0.2}),
        ({"sharpness": 6.0}, {"sharpness": 2.0}),
    ],
)
def test_each_measure_counts_in_its_direction(better, worse):
    assert confidence_of(face(**better)) > confidence_of(face(**worse))


def test_a_hidden_eye_or_glaring_light_alone_does_not_lose_a_face():
    assert confidence_of(replace(face(), disagreement=UNCONFIRMED)) > MINIMUM_CONFIDENCE


def test_measures_end_where_they_say_no_more():
    assert measures_of_trust(face(presence=40.0))["presence"] == SURE
    assert np.isfinite(list(measures_of_trust(face(disagreement=0.0, sharpness=0.0)).values())).all()
