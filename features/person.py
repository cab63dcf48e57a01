"""Which tracks of a video show the same person: told by the shape of the neutral face, the expression taken out of it.

The shape is seen in the directions in which people differ more than the estimates of one person do (Fisher's linear
discriminants, 1936; `benchmarks.calibrate_action_units` finds them on rendered heads).  Tracks are joined from the most
alike on (average linkage).  Two persons taken for one share a neutral face, as all of a video once did; one person taken
for two has fewer frames for it.
"""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from features.action_units import neutral_of
from features.face_units import load_face_units

# Distance up to which two are one person: of different people in real films 1 in 100 are nearer.
SAME = 66.0
FEW = 10  # frames of a track that are too few to tell; it goes with the largest


def identity_of(neutral: np.ndarray) -> np.ndarray:
    """The shape of a neutral face [shape=(m,)] in directions in which people differ, [shape=(k,)]."""
    model = load_face_units()
    count = len(model.identity)
    return (neutral[1 : 1 + count] - model.neutral[1 : 1 + count]) @ model.identity


def persons_of(tracks: list[np.ndarray]) -> np.ndarray:
    """Number of the person of each track [shape=(n,)], from 0 on in the order of their first tracks.

    Parameters
    ----------
    tracks : list of np.ndarray [shape=(frames, m)], measures (`features.action_units.measures_of`), NaN without a face
    """
    frames = np.array([np.isfinite(measures[:, 0]).sum() for measures in tracks])
    enough = np.flatnonzero(frames >= FEW)
    persons = np.zeros(len(tracks), int)
    if len(enough) < 2:
        return persons
    identities = np.array([identity_of(neutral_of(tracks[i])) for i in enough])
    found = fcluster(linkage(identities, "average"), SAME, "distance")
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    persons[enough] = order[inverse]
    persons[frames < FEW] = persons[np.argmax(frames)]
    return persons
