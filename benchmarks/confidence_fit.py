"""Make the table of `features.confidence`, a logistic regression of "the landmarks are right", and `features/people.npz`.

    .venv/bin/python -m benchmarks.confidence_fit --people my_photographs --animals my_animals [--speakers 8] [--processes 2]

Pictures of the calibration set of speakers that serve nowhere for evaluation, as they are and under every disturbance of
`demo.calibration`, are looked at as on a key frame, and as a face that has been followed until there.  The landmarks are
right where the 51 points inside the face are, on average, within 5 % of the distance of the outer corners of the eyes.  So
are photographs of people with points set by hand (`benchmarks.real_faces`), and pictures of animals, on which nothing is
right.  Of both half 0 is taken.  Printed: the table, and how well it predicts four speakers whom it did not see, and
half 1 of the photographs and animals.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from benchmarks.accuracy_speakers import single_threaded_models
from benchmarks.real_faces import PHOTOGRAPHS, SMALL, half_of, hand_set_faces, picture_of
from demo.calibration import CALIBRATION_SEEDS, DISTURBANCES, disturb, shots
from demo.head import Head
from features.confidence import MINIMUM_CONFIDENCE, PEOPLE, TABLE, load_people, measures_of_trust
from features.detect import Face, FaceDetector
from features.landmarks import JAW, landmarks_68
from features.mesh import CROP_MARGIN, OUTER_EYE_CORNERS, FaceMesh, MeshFace, region_of
from features.track import SAME_FACE, Look, TrackedFace, overlap, rotation_onto
from features.vision import VisionModels
from pipeline.base.io import replacing

RIGHT = 0.05  # distances of the outer corners of the eyes
PICTURES, SHAPES = 14, 90  # of each speaker: under every disturbance, and for the shapes alone
MEASURES = [name for name in TABLE if name != "constant"]
WEIGHTS = {"rendered": 1.0, "people": 0.5, "animals": 0.3}  # of all faces of a kind together
HELD_OUT = 4  # speakers, the first of the calibration set, that no fit sees
SHAPED = 24  # speakers whose shapes are taken, those after them
DIRECTIONS = 60  # in which people differ
ROUNDS = 3  # of the mean shape
Seen = tuple[dict, TrackedFace]  # what is known of a face, and the face


def as_tracked(mesh: MeshFace, detected: list[Face]) -> TrackedFace:
    """A mesh as the tracker keeps it on a key frame with these detections."""
    same = next((face for face in detected if overlap(mesh.box, face.box) >= SAME_FACE), None)
    return TrackedFace(replace(mesh, thumbnail=np.zeros((1, 1))), 0, same)


def is_right(mesh: MeshFace, truth: np.ndarray, between: float) -> bool:
    """Whether a mesh has the inner ones of 68 true points [shape=(68, 2)] right, in distances of the eyes `between`."""
    apart = landmarks_68(mesh.points[:, :2]) - truth
    return bool(np.linalg.norm(apart[JAW.stop :], axis=1).mean() <= RIGHT * between)


def look_at(seed: int) -> list[Seen]:
    """The faces of the pictures of one speaker."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    head, taken, random = Head(seed), shots(seed), np.random.default_rng(seed)
    detector, network, faces = FaceDetector(), FaceMesh(), []
    for number in random.choice(len(taken), PICTURES, replace=False):
        frame = taken[number].of(head, int(number))
        corners = frame.landmarks_3d[[36, 45]]
        between = head.camera[0] * np.linalg.norm(corners[1] - corners[0]) / corners[:, 2].mean()
        truth = frame.landmarks_2d
        undisturbed = network.find(frame.image, np.concatenate([truth.min(0), truth.max(0)])).points[:, :2]
        spoilt = {("none", 0.0): (frame.image, np.eye(2, 3))}
        spoilt |= {(name, s): disturb(frame, name, s) for name, (strengths, _) in DISTURBANCES.items() for s in strengths}
        for picture, moved in spoilt.values():
            detected = detector.detect(picture)
            points = undisturbed @ moved[:, :2].T + moved[:, 2]
            meshes = [network.look(picture, region_of(points, CROP_MARGIN, *points[list(OUTER_EYE_CORNERS)]))]
            meshes += [network.find(picture, face.box, face.points[:2]) for face in detected[:1]]
            for mesh in meshes:
                right = is_right(mesh, truth @ moved[:, :2].T + moved[:, 2], between * moved[0, 0])
                known = {"kind": "rendered", "half": int(seed < CALIBRATION_SEEDS.start + HELD_OUT), "right": right}
                faces.append((known, as_tracked(mesh, detected)))
    return faces


def shapes_of(seed: int) -> list[np.ndarray]:
    """Shapes of the mesh [shape=(468, 3)] of one speaker, undisturbed."""
    cv2.setNumThreads(1)
    head, taken, network = Head(seed), shots(seed), FaceMesh()
    frames = [taken[i].of(head, int(i)) for i in np.random.default_rng(seed).choice(len(taken), SHAPES, replace=False)]
    boxes = [np.concatenate([frame.landmarks_2d.min(0), frame.landmarks_2d.max(0)]) for frame in frames]
    return [Look.shape_of(network.find(frame.image, box)) for frame, box in zip(frames, boxes, strict=True)]


def look_at_people(folder: Path, models: VisionModels) -> list[Seen]:
    """The faces with hand-set points of a folder, as far as MTCNN finds them."""
    faces = []
    for hand_set in tqdm([face for face in hand_set_faces(folder) if face.between_eyes >= SMALL], desc="photographs"):
        picture = picture_of(hand_set.path)
        box = np.concatenate([hand_set.points.min(0), hand_set.points.max(0)])
        detected = [face for face in models.detector.detect(picture) if overlap(face.box, box) >= SAME_FACE]
        for face in detected[:1]:
            mesh = models.mesh.find(picture, face.box, face.points[:2])
            right = is_right(mesh, hand_set.points, hand_set.between_eyes)
            faces.append(({"kind": "people", "half": hand_set.half, "right": right}, as_tracked(mesh, detected)))
    return faces


def look_at_animals(folder: Path, models: VisionModels) -> list[Seen]:
    """The largest face that MTCNN finds in each picture of a folder, where the mesh finds one, too."""
    faces = []
    for path in tqdm(sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTOGRAPHS), desc="animals"):
        picture = picture_of(path)
        for face in (detected := models.detector.detect(picture))[:1]:
            mesh = models.mesh.find(picture, face.box, face.points[:2])
            if mesh.presence >= 0 and overlap(mesh.box, face.box) >= SAME_FACE:
                known = {"kind": "animals", "half": half_of(path), "right": False}
                faces.append((known, as_tracked(mesh, detected)))
    return faces


def shapes_of_people(people: list[np.ndarray], speakers: list[np.ndarray]) -> dict[str, np.ndarray]:
    """`mean` and `directions` of `features.confidence.load_people`, from shapes of people and of rendered speakers."""
    mean = np.mean(people, 0)
    for _ in range(ROUNDS):
        mean = np.mean([shape @ rotation_onto(shape, mean) for shape in people], 0)
        mean /= np.linalg.norm(mean)
    apart = np.array([(shape @ rotation_onto(shape, mean) - mean).ravel() for shape in people + speakers])
    directions = np.linalg.svd(apart, full_matrices=False)[2][:DIRECTIONS]
    return {"mean": mean.astype(np.float32), "directions": directions.astype(np.float16)}


def fit(table: pd.DataFrame) -> LogisticRegression:
    """The regression; hardly regularised, as there are thousands of rows for a handful of weights."""
    weight = table["kind"].map(WEIGHTS) / table.groupby("kind")["kind"].transform("size") * len(table)
    return LogisticRegression(C=100.0, max_iter=1000).fit(table[MEASURES], table["right"], weight)


def area_under_curve(right: np.ndarray, predicted: np.ndarray) -> float:
    """How often a right case is given more confidence than a wrong one."""
    ranks, positive = rankdata(predicted), int(right.sum())
    return (ranks[right].sum() - positive * (positive + 1) / 2) / (positive * (len(right) - positive))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=Path, required=True, help="folder of photographs with hand-set points")
    parser.add_argument("--animals", type=Path, required=True, help="folder of pictures of animals")
    parser.add_argument("--speakers", type=int, default=8)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    seeds = CALIBRATION_SEEDS[: arguments.speakers + HELD_OUT]
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        faces = sum(tqdm(pool.map(look_at, seeds), total=len(seeds), desc="speakers"), [])
        speakers = sum(pool.map(shapes_of, CALIBRATION_SEEDS[HELD_OUT : HELD_OUT + SHAPED]), [])
    with single_threaded_models() as models:
        faces += look_at_people(arguments.people, models) + look_at_animals(arguments.animals, models)
    people = [Look.shape_of(face.mesh) for known, face in faces if known["kind"] == "people" and known["half"] == 0]
    with replacing(PEOPLE) as temporary:
        np.savez_compressed(temporary, **shapes_of_people(people, speakers))
    load_people.cache_clear()
    table = pd.DataFrame([known | measures_of_trust(face) for known, face in faces])
    seen, unseen = table[table["half"] == 0], table[table["half"] == 1]
    predicted = pd.Series(fit(seen).predict_proba(unseen[MEASURES])[:, 1], unseen.index)
    for kind, of_kind in unseen.groupby("kind"):
        own, right = predicted[of_kind.index], of_kind["right"].to_numpy(bool)
        share = (own[right] >= MINIMUM_CONFIDENCE).mean() if right.any() else np.nan
        print(f"{kind}, not fitted to: {len(own)} faces, {right.sum()} right, of which {100 * share:.1f} % count as found,")
        print(f"  {(own[~right] >= MINIMUM_CONFIDENCE).sum()} of {(~right).sum()} wrong ones too")
        if 0 < right.sum() < len(right):
            print(f"  a right one gets more confidence in {100 * area_under_curve(right, own.to_numpy()):.1f} % of pairs")
    print("  confidence    faces    right")
    for low in np.arange(0, 1, 0.1):
        inside = (predicted >= low) & (predicted < low + 0.1)
        if inside.any():
            print(f"  {low:.1f} to {low + 0.1:.1f} {inside.sum():9d} {100 * unseen['right'][inside].mean():7.0f} %")
    final = fit(seen)
    print("weights for features/confidence.py, fitted to half 0:")
    for name, weight in zip(["constant", *MEASURES], [*final.intercept_, *final.coef_[0]], strict=True):
        print(f'    "{name}": {weight:.2f},')


if __name__ == "__main__":
    main()
