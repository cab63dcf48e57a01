"""The committed shape model is the one that its script builds from the demo's heads."""

import numpy as np
import pytest

from demo.build_shape_model import build, mirrored, procrustes, size_line
from demo.mesh import LANDMARKS, base_mesh, to_camera_axes
from demo.pose import euler_to_rotation
from features.shape_model import load_shape_model


@pytest.fixture
def face() -> np.ndarray:
    return to_camera_axes(base_mesh().vertices[LANDMARKS]).astype(float)


def test_script_builds_the_committed_model():
    built, committed = build(), load_shape_model()
    assert np.allclose(built["mean"], committed.mean, atol=0.01), "run python -m demo.build_shape_model again"
    assert np.allclose(built["deviations"], committed.deviations, rtol=1e-3)
    # Modes of nearly equal variance may swap or mix: the space that they span is compared.
    modes, known = built["modes"].reshape(34, -1), committed.modes.reshape(34, -1)
    assert np.linalg.norm(modes[:20] @ known.T, axis=1).min() > 0.99
    assert np.allclose(built["log_size"] @ modes, committed.log_size @ known, atol=1e-4)


def test_expressions_neither_move_nor_turn_a_head(face):
    opened = face.copy()
    opened[:17, 1] += 25  # the jaw
    head = np.array([face, opened])
    turned = 1.2 * head @ euler_to_rotation(0.05, 0.02, -0.03).T + [10, 0, 5]
    aligned, log_size = procrustes(np.array([head, turned]))
    assert np.allclose(aligned[0], aligned[1], atol=1e-6)
    assert np.allclose(aligned[:, 1, 17:], aligned[:, 0, 17:])  # the upper face stays when the jaw drops
    assert np.isclose(log_size[1] - log_size[0], np.log(1.2)) and np.isclose(log_size.sum(), 0)
    assert np.allclose(aligned.mean(0)[0], mirrored(aligned.mean(0)[0]), atol=3)


def test_size_line_finds_what_tells_of_the_size():
    random = np.random.default_rng(0)
    coefficients = random.normal(0, [20, 10, 5], (200, 4, 3))
    coefficients[:, :, 0] = coefficients[:, :1, 0]  # the first is the head's own, the others come and go
    log_size = 0.004 * coefficients[:, 0, 0] + random.normal(0, 0.001, 200)
    assert np.allclose(size_line(coefficients, log_size), [0.004, 0, 0], atol=2e-4)
