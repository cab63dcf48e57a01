"""Fit what the face units do to a face (features/face_units.npz) and the numbers of features/action_units.yaml.

    .venv/bin/python -m benchmarks.calibrate_action_units --measures build/face_unit_measures --people my_people

Renders the calibration set (`demo.calibration`) of heads that no benchmark evaluates, finds their meshes and measures
them.  `--people` is a folder of photographs of people (benchmarks/README.md), of which half 0 is taken
(`benchmarks.real_faces.half_of`): each is lit by further lamps and given glasses (`benchmarks.relight`), and what that
changes is no expression.  `--measures` keeps the measures of heads and people, so that a second run need not make them.
Writes the model and prints the numbers of the table, `full` to `seen`, of each action unit.  Takes about 20 minutes on 2
idle cores.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.accuracy_speakers import single_threaded_models
from benchmarks.real_faces import PHOTOGRAPHS, half_of, picture_of
from benchmarks.relight import Lamp, relit, with_glasses
from demo.calibration import CALIBRATION_SEEDS, Shot, shots
from demo.head import Frame, Head
from demo.mesh import unit_names
from features.action_units import driven, load_table, neutral_of, seen_of
from features.face_units import (
    ARRAYS,
    CHEEKS,
    DRAWN,
    MODEL,
    FaceUnitModel,
    UprightFace,
    base_name,
    load_face_units,
    measure_face,
)
from features.mesh import OUTER_EYE_CORNERS, FaceMesh, MeshFace
from features.track import PRESENCE, FaceTracker
from features.vision import VisionModels
from pipeline.base.io import replacing

SEEDS = CALIBRATION_SEEDS
UNSEEN = {"tongueOut"}  # the demo's heads do not show their tongue
RIDGE = 5.0  # frames at rest that hold the responses near 0
SHRINKAGE = 0.05  # of the covariance of the noise towards its diagonal
DRIVEN = 0.3  # amplitude that counts as present
# Weight of what lamps and glasses do to people, as against the noise of rendered pictures: about a person's neutral face, which
# is of the same video, and about the population's, which knows nothing of them.
LAMPS_OF_PERSON, LAMPS_OF_POPULATION = 3.5, 16.0
LARGEST, SMALLEST = 1000, 40  # pixels: longer side of a photograph, distance of the eyes in it
STIFFNESS, LEAST_SPREAD = 0.01, 1e-3  # of the regression that tells drawn faces, and of a measure in it
AT_REST, FULLY = 0.25, 0.99  # parts of people's photographs that show less than a face at rest, and than the fullest
PARTS, PART = 6, 40  # of a head's pictures, and how many are in each, of which neutral faces are compared
DIRECTIONS, SHARED = 30, 0.1  # of identity, and the share of the mean spread that is added to that of each
Measured = tuple[np.ndarray, dict[str, np.ndarray]]  # measures [n, m], and amplitudes [n] of the face units by name
CROSSED = 0.5  # by so much mouthClose above jawOpen pushes the lips through each other: no face can do that


def mesh_of(mesh: FaceMesh, frame: Frame) -> MeshFace:
    """The mesh of a rendered face, searched where the face truly is."""
    low, high = frame.landmarks_2d.min(0), frame.landmarks_2d.max(0)
    return mesh.find(frame.image, np.concatenate([low, high]))


def neutral_mesh(seed: int) -> np.ndarray:
    """Mesh [478, 3] of a head at rest, eye distance 1, the middle between the eyes at the origin."""
    points = mesh_of(FaceMesh(), Shot("still").of(Head(seed), 0)).points
    first, second = points[list(OUTER_EYE_CORNERS)]
    return (points - (first + second) / 2) / np.linalg.norm(second - first)


def average_face(meshes: list[np.ndarray]) -> np.ndarray:
    """The mean of meshes and of their mirror images."""
    face = np.mean(meshes, 0)
    face[:, 0] -= face[[10, 151, 9, 168, 6], 0].mean()  # points of the middle of the face
    return (face + face[UprightFace(face).mirror] * [-1, 1, 1]) / 2


def measures_of_head(seed: int, face: np.ndarray, folder: Path) -> Measured:
    """Measures [n, m] of the calibration set of a head, and the amplitudes [n] of the face units by name without side."""
    cv2.setNumThreads(1)
    path = folder / f"{seed}.npz"
    if not path.is_file():
        head, mesh, upright, rows, amplitudes = Head(seed), FaceMesh(), UprightFace(face), [], []
        for index, shot in enumerate(shots(seed)):
            frame = shot.of(head, index)
            found = mesh_of(mesh, frame)
            rows.append(measure_face(found.points, found.blendshapes, frame.image, upright))
            rows[-1][DRAWN] = 1
            amplitudes.append(frame.units)
        with replacing(path) as temporary:
            np.savez(temporary, measures=np.array(rows), units=np.array(amplitudes))
    with np.load(path) as saved:
        measures, units = saved["measures"].astype(np.float64), saved["units"].astype(np.float64)
    names = np.array([base_name(name) for name in unit_names()])
    return measures, {name: units[:, names == name].mean(1) for name in sorted(set(names) - UNSEEN)}


def precision(covariance: np.ndarray) -> np.ndarray:
    """Inverse of a covariance that is shrunk towards its diagonal (Ledoit & Wolf 2004)."""
    return np.linalg.inv((1 - SHRINKAGE) * covariance + SHRINKAGE * np.diag(covariance.diagonal() + 1e-6))


def measures_of_people(folder: Path, face: np.ndarray, models: VisionModels) -> tuple[np.ndarray, np.ndarray]:
    """Of photographs of people: measures [photographs, m], and how two lamps and glasses change each [changes, m]."""
    upright, rows, changes = UprightFace(face), [], []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTOGRAPHS and half_of(path) == 0):
        frame = picture_of(path)
        if max(frame.shape) > LARGEST:
            frame = cv2.resize(frame, None, fx=(s := LARGEST / max(frame.shape)), fy=s, interpolation=cv2.INTER_AREA)
        faces = FaceTracker(models.detector, models.mesh, 1).next(frame)
        if not faces:
            continue
        found, random = faces[0].mesh, np.random.default_rng(list(path.stem.encode()))
        points = found.points
        if np.linalg.norm(np.diff(points[list(OUTER_EYE_CORNERS), :2], axis=0)) < SMALLEST:
            continue
        rows.append(measure_face(points, found.blendshapes, frame, upright).astype(np.float64))
        others = [relit(frame, points, Lamp.drawn(random), upright) for _ in range(2)]
        for other in [*others, with_glasses(frame, points, random, upright)]:
            seen = models.mesh.look(other, found.wanted_region)
            if seen.presence >= PRESENCE:
                changes.append(measure_face(seen.points, seen.blendshapes, other, upright) - rows[-1])
    return np.array(rows), np.array(changes)


def fit(heads: list[Measured], disturbed: np.ndarray, face: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of `FaceUnitModel` but the last two, from measures of heads and from what lamps and glasses change."""
    heads = [(measures[:, :CHEEKS], units) for measures, units in heads]
    names = list(heads[0][1])
    amplitudes = np.concatenate([np.stack(list(units.values()), 1) for _, units in heads])
    neutrals = np.array([np.median(measures, 0) for measures, _ in heads])  # these heads are at rest in most pictures
    changes = np.concatenate([measures - neutral for (measures, _), neutral in zip(heads, neutrals, strict=True)])[:, 1:]
    possible = amplitudes[:, names.index("mouthClose")] - amplitudes[:, names.index("jawOpen")] < CROSSED
    amplitudes, changes = amplitudes[possible], changes[possible]
    responses = np.linalg.solve(amplitudes.T @ amplitudes + RIDGE * np.eye(len(names)), amplitudes.T @ changes)
    rest = changes - amplitudes @ responses
    noise, between = rest.T @ rest / len(rest), np.cov(neutrals[:, 1:].T)
    lamps = disturbed[:, 1:CHEEKS]
    lamp = lamps.T @ lamps / len(lamps)
    spreads = (noise + LAMPS_OF_PERSON * lamp, noise + LAMPS_OF_POPULATION * lamp + between, noise, noise + between)
    arrays = (face, neutrals.mean(0), responses, *(precision(spread) @ responses.T for spread in spreads))
    return {"units": np.array(names)} | {
        name: array.astype(np.float32) for name, array in zip(ARRAYS[:-2], arrays, strict=True)
    }


def weights_of_drawn(heads: list[Measured], people: np.ndarray, changes: np.ndarray) -> np.ndarray:
    """`FaceUnitModel.drawn` [M]: a regression that tells rendered heads from people, as they are and in other light."""
    random = np.random.default_rng(0)
    lit = people[random.integers(len(people), size=len(changes))] + changes
    drawn, real = np.concatenate([rows[::4] for rows, _ in heads]), np.concatenate([people, lit])
    measures = np.concatenate([drawn, real])[:, 1:CHEEKS]
    truth, spread = np.arange(len(measures)) < len(drawn), measures.std(0) + LEAST_SPREAD
    share = np.where(truth, 1 / len(drawn), 1 / len(real)) * len(measures) / 2
    found = LogisticRegression(C=STIFFNESS, max_iter=1000).fit((measures - measures.mean(0)) / spread, truth, share)
    weights = found.coef_[0] / spread
    return np.append(found.intercept_ - measures.mean(0) @ weights, weights)


def directions_of_identity(heads: list[np.ndarray], model: FaceUnitModel) -> np.ndarray:
    """Of measures [shape=(pictures, m)] of each head: `FaceUnitModel.identity`.

    Linear discriminants of the shape between heads, as against what the neutral faces of parts of one's pictures differ in.

    They are scaled so that the latter have a variance of about 1.
    """
    random, shape = np.random.default_rng(0), slice(1, 1 + 3 * len(model.upright.half))
    parts = [[measures[random.choice(len(measures), PART)] for _ in range(PARTS)] for measures in heads]
    neutrals = np.array([[rest_of(part, model)[shape] for part in of_head] for of_head in parts])
    means = neutrals.mean(1)
    _, _, axes = np.linalg.svd(neutrals.reshape(-1, neutrals.shape[2]) - means.mean(0), full_matrices=False)
    axes = axes[: min(DIRECTIONS, len(axes))].T
    spread = ((neutrals - means[:, None]) @ axes).reshape(-1, axes.shape[1])
    within = spread.T @ spread / (len(heads) * (PARTS - 1))
    within += SHARED * np.trace(within) / len(within) * np.eye(len(within))
    return axes @ np.linalg.cholesky(np.linalg.inv(within))


def rest_of(measures: np.ndarray, model: FaceUnitModel) -> np.ndarray:
    """`neutral_of` with a model that is not written yet."""
    median = np.median(measures, 0)
    median[1:] -= model.amplitudes(median[None], None, drawn=True)[0] @ model.responses
    return median


def best_threshold(intensity: np.ndarray, present: np.ndarray) -> float:
    """The intensity that tells best, by F1, frames in which an action unit is present: the middle of what is all but best."""
    steps = np.arange(0.1, 3, 0.1)
    scores = np.array(
        [2 * ((intensity >= step) & present).sum() / ((intensity >= step).sum() + present.sum()) for step in steps]
    )
    return float(np.median(steps[scores >= 0.99 * scores.max()]))


def print_table(heads: list[Measured], people: np.ndarray) -> None:
    """Print the table's numbers of each action unit as these heads have them, and `seen` as people [n, m] have it."""
    true = np.concatenate([driven(amplitudes) for _, amplitudes in heads])
    drawn, wary = (found_in(heads, drawn) for drawn in (True, False))
    for i, (unit, line) in enumerate(load_table().items()):
        full, full_people = (np.polyfit(true[:, i], found[:, i], 1)[0] for found in (drawn, wary))
        threshold = best_threshold(np.clip(5 * drawn[:, i] / full, 0, 5), true[:, i] >= DRIVEN)
        print(f"{unit} {line.name:20s} full: {full:.2f}, full_people: {full_people:.2f}, present: {threshold:.1f}", end="")
        if line.seen:
            rest, fully = np.quantile(seen_of(people, line.seen.what), (AT_REST, FULLY))
            print(f", seen: {{what: {line.seen.what}, rest: {rest:.3f}, full: {fully:.3f}}}", end="")
        print()


def found_in(heads: list[Measured], drawn: bool) -> np.ndarray:
    """`driven` [n, 18] by the amplitudes that the fit finds in heads, as drawn faces or as if they were people."""
    model = load_face_units()
    found = [dict(zip(model.units, model.amplitudes(m, neutral_of(m), drawn).T, strict=True)) for m, _ in heads]
    return np.concatenate([driven(amplitudes) for amplitudes in found])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measures", type=Path, required=True, help="folder that keeps the measures of each head")
    parser.add_argument("--people", type=Path, required=True, help="folder of photographs of people")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    arguments.measures.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(arguments.processes) as pool:
        face = average_face(list(pool.map(neutral_mesh, SEEDS)))
        count = len(SEEDS)
        heads = list(pool.map(measures_of_head, SEEDS, [face] * count, [arguments.measures] * count))
    kept = arguments.measures / "people.npz"
    if not kept.is_file():
        with single_threaded_models() as models, replacing(kept) as temporary:
            people, changes = measures_of_people(arguments.people, face, models)
            np.savez(temporary, people=people, changes=changes)
    with np.load(kept) as saved:
        people, changes = saved["people"], saved["changes"]
    arrays = fit(heads, changes, face) | {"drawn": weights_of_drawn(heads, people, changes).astype(np.float32)}
    units, known = tuple(arrays["units"].tolist()), [arrays[name].astype(np.float64) for name in ARRAYS[:-1]]
    identity = directions_of_identity(
        [measures[:, :CHEEKS] for measures, _ in heads], FaceUnitModel(units, *known, np.zeros((0, 0)))
    )
    with replacing(MODEL) as temporary:
        np.savez_compressed(temporary, **arrays, identity=identity.astype(np.float32))
    load_face_units.cache_clear()
    print_table(heads, people)


if __name__ == "__main__":
    main()
