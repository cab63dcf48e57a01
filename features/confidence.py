"""How probable it is that the landmarks of a face are right: that the 51 points inside the face lie, on average, within
5 % of the distance of the outer corners of the eyes from where they belong.

A logistic regression on what the networks and the picture say of a frame.  `benchmarks/confidence_fit.py` made the table
from rendered speakers in darkness, glare, blur, compression, behind a hand and far away: on 2,800 faces of speakers whom
the fit had not seen a right one was given more confidence than a wrong one in 95 % of pairs.  The error of the shape
model's fit would predict well there too, but real faces differ from the shape model more than rendered ones do.
"""

import numpy as np

from features.track import UNCONFIRMED, TrackedFace

MINIMUM_CONFIDENCE = 0.2  # lenient: a point that lies 7 % off is better than none
SURE = 12.0  # log-odds of the mesh network's presence beyond which it says no more
BEST_AGREEMENT = 0.02  # distances of the eyes
TABLE = {  # measure: weight
    "constant": -11.29,
    "presence": 0.44,  # log-odds by the mesh network
    "disagreement": -1.92,  # logarithm of that of MTCNN's and the mesh's five points, in distances of the eyes
    "sharpness": 2.09,  # logarithm of 1 + the standard deviation of the Laplacian in the region of the face
}


def measures_of_trust(face: TrackedFace) -> dict[str, float]:
    """The measures of `TABLE` of a face."""
    return {
        "constant": 1.0,
        "presence": float(np.clip(face.mesh.presence, -SURE, SURE)),
        "disagreement": float(np.log(np.clip(face.disagreement, BEST_AGREEMENT, UNCONFIRMED))),
        "sharpness": float(np.log1p(face.mesh.sharpness)),
    }


def confidence_of(face: TrackedFace) -> float:
    """Probability, 0-1, that the landmarks of a face are right."""
    return float(1 / (1 + np.exp(-sum(TABLE[name] * value for name, value in measures_of_trust(face).items()))))
