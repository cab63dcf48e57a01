"""How probable it is that the landmarks of a face are right: that the 51 points inside the face lie, on average, within
5 % of the distance of the outer corners of the eyes from where they belong, and that the face is a human one.

A logistic regression on what the networks and the picture say of a frame.  Animals and drawn creatures have faces for these
networks, too; but the mesh that is laid over them is no shape that people have, and MTCNN is less sure.
`benchmarks/confidence_fit.py` made the table, and the shapes of people, from rendered speakers in darkness, glare, blur,
compression, behind a hand and far away, from photographs of people whose points were set by hand, and from pictures of
animals.  The error of the shape model's fit would predict well there too, but real faces differ from the shape model more
than rendered ones do.
"""

from functools import cache
from pathlib import Path

import numpy as np

from features.hashing import sha256_of
from features.track import Look, TrackedFace, rotation_onto

MINIMUM_CONFIDENCE = 0.2  # lenient: a point that lies 7 % off is better than none
SURE = 12.0  # log-odds of the mesh network's presence beyond which it says no more
DETECTED, SURELY_DETECTED = 0.85, 8.0  # log-odds by MTCNN: the least that it calls a face, and where it says no more
PEOPLE = Path(__file__).with_name("people.npz")
TABLE = {  # measure: weight
    "constant": -34.28,
    "presence": 0.15,  # log-odds by the mesh network
    "sharpness": 0.95,  # logarithm of 1 + the standard deviation of the Laplacian in the region of the face
    "strangeness": -5.89,  # logarithm of the distance of the mesh from the shapes of people, in sizes of the mesh
    "detection": 0.37,  # log-odds by MTCNN on the last key frame
}


@cache
def load_people() -> tuple[np.ndarray, np.ndarray]:
    """The mean shape [shape=(468, 3)] of people's meshes, and the main directions [shape=(k, 1404)] in which they differ."""
    with np.load(PEOPLE) as arrays:
        return arrays["mean"].astype(np.float64), arrays["directions"].astype(np.float64)


def people_weights() -> dict[str, str]:
    """File name and SHA-256 of the shapes of people."""
    return {PEOPLE.name: sha256_of(PEOPLE)}


def strangeness_of(shape: np.ndarray) -> float:
    """How far a shape [shape=(468, 3)], `Look.shape`, lies from those of people, in sizes of the mesh."""
    mean, directions = load_people()
    apart = (shape @ rotation_onto(shape, mean) - mean).ravel()
    return float(np.linalg.norm(apart - (directions @ apart) @ directions))


def measures_of_trust(face: TrackedFace) -> dict[str, float]:
    """The measures of `TABLE` of a face."""
    probability = np.clip(face.detection.probability if face.detection else 0.0, 1e-6, 1 - 1e-6)
    shape = face.look.shape if face.look else Look.shape_of(face.mesh)
    return {
        "constant": 1.0,
        "presence": float(np.clip(face.mesh.presence, -SURE, SURE)),
        "sharpness": float(np.log1p(face.mesh.sharpness)),
        "strangeness": float(np.log(strangeness_of(shape))),
        "detection": float(np.clip(np.log(probability / (1 - probability)), DETECTED, SURELY_DETECTED)),
    }


def confidence_of(face: TrackedFace) -> float:
    """Probability, 0-1, that the landmarks of a face are right."""
    return float(1 / (1 + np.exp(-sum(TABLE[name] * value for name, value in measures_of_trust(face).items()))))
