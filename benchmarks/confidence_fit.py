"""Make the table of `features.confidence`: a logistic regression of "the landmarks are right" on measures of trust.

    .venv/bin/python -m benchmarks.confidence_fit [--speakers 12] [--processes 2]

Pictures of the calibration set of speakers that serve nowhere for evaluation, as they are and under every disturbance of
`demo.calibration`, are looked at as on a key frame, and as a face that has been followed until there.  The landmarks are
right where the 51 points inside the face are, on average, within 5 % of the distance of the outer corners of the eyes.
Printed: the table, and on the last third of the speakers, which the fit of that line did not see, how well it predicts.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2
import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from demo.calibration import CALIBRATION_SEEDS, DISTURBANCES, disturb, shots
from demo.head import Head
from features.confidence import TABLE, measures_of_trust
from features.detect import Face, FaceDetector
from features.landmarks import JAW, landmarks_68
from features.mesh import CROP_MARGIN, OUTER_EYE_CORNERS, FaceMesh, MeshFace, region_of
from features.track import SAME_FACE, UNCONFIRMED, TrackedFace, overlap, tracked

RIGHT = 0.05  # distances of the outer corners of the eyes
PICTURES = 14  # of each speaker
MEASURES = [name for name in TABLE if name != "constant"]


def as_tracked(mesh: MeshFace, detected: list[Face]) -> TrackedFace:
    """A mesh as the tracker keeps it on a key frame with these detections."""
    same = next((face for face in detected if overlap(mesh.box, face.box) >= SAME_FACE), None)
    return tracked(mesh, 0, same) if same else TrackedFace(mesh, 0, None, UNCONFIRMED)


def look_at(seed: int) -> pd.DataFrame:
    """Measures of trust, and whether the landmarks are right, of the pictures of one speaker."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    head, taken, random = Head(seed), shots(seed), np.random.default_rng(seed)
    detector, network, rows = FaceDetector(), FaceMesh(), []
    for number in random.choice(len(taken), PICTURES, replace=False):
        frame = taken[number].of(head, int(number))
        corners = frame.landmarks_3d[[36, 45]]
        between = head.camera[0] * np.linalg.norm(corners[1] - corners[0]) / corners[:, 2].mean()
        truth = frame.landmarks_2d
        undisturbed = network.find(frame.image, np.concatenate([truth.min(0), truth.max(0)])).points[:, :2]
        spoilt = {("none", 0.0): (frame.image, np.eye(2, 3))}
        spoilt |= {(name, s): disturb(frame, name, s) for name, (strengths, _) in DISTURBANCES.items() for s in strengths}
        for (name, strength), (picture, moved) in spoilt.items():
            detected = detector.detect(picture)
            points = undisturbed @ moved[:, :2].T + moved[:, 2]
            meshes = [network.look(picture, region_of(points, CROP_MARGIN, *points[list(OUTER_EYE_CORNERS)]))]
            meshes += [network.find(picture, face.box, face.points[:2]) for face in detected[:1]]
            for mesh in meshes:
                apart = landmarks_68(mesh.points[:, :2]) - truth @ moved[:, :2].T - moved[:, 2]
                error = np.linalg.norm(apart[JAW.stop :], axis=1).mean() / (between * moved[0, 0])
                measures = measures_of_trust(as_tracked(mesh, detected))
                rows.append({"seed": seed, "disturbance": name, "strength": strength, "right": error <= RIGHT, **measures})
    return pd.DataFrame(rows)


def fit(table: pd.DataFrame) -> LogisticRegression:
    """The regression; hardly regularised, as there are thousands of rows for a handful of weights."""
    return LogisticRegression(C=100.0).fit(table[MEASURES], table["right"])


def area_under_curve(right: np.ndarray, predicted: np.ndarray) -> float:
    """How often a right case is given more confidence than a wrong one."""
    ranks, positive = rankdata(predicted), int(right.sum())
    return (ranks[right].sum() - positive * (positive + 1) / 2) / (positive * (len(right) - positive))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speakers", type=int, default=12)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    seeds = list(CALIBRATION_SEEDS)[: arguments.speakers]
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        table = pd.concat(tqdm(pool.map(look_at, seeds), total=len(seeds), desc="speakers"), ignore_index=True)
    held_out = table["seed"].isin(seeds[-len(seeds) // 3 :])
    right = table.loc[held_out, "right"].to_numpy(bool)
    predicted = fit(table[~held_out]).predict_proba(table.loc[held_out, MEASURES])[:, 1]
    print(f"{len(table)} faces, {100 * table['right'].mean():.0f} % right; on {len(right)} of speakers not fitted to:")
    share = area_under_curve(right, predicted)
    print(f"  a right face gets more confidence than a wrong one in {100 * share:.1f} % of pairs")
    print("  confidence    faces    right")
    for low in np.arange(0, 1, 0.1):
        inside = (predicted >= low) & (predicted < low + 0.1)
        if inside.any():
            print(f"  {low:.1f} to {low + 0.1:.1f} {inside.sum():9d} {100 * right[inside].mean():7.0f} %")
    final = fit(table)
    undisturbed = final.predict_proba(table.loc[table["disturbance"] == "none", MEASURES])[:, 1]
    print(f"  undisturbed: least {undisturbed.min():.3f}, lowest half percent below {np.quantile(undisturbed, 0.005):.3f}")
    print("weights for features/confidence.py, fitted to all:")
    for name, weight in zip(["constant", *MEASURES], [*final.intercept_, *final.coef_[0]], strict=True):
        print(f'    "{name}": {weight:.2f},')


if __name__ == "__main__":
    main()
