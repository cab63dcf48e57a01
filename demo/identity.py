"""Who a speaker is: sex, age, origin and build from a seed, and the neutral shape of the head that follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.mesh import LANDMARKS, base_mesh, face_units, shape_target
from demo.pose import similarity

ORIGINS = ("african", "asian", "caucasian")
ORIGIN_SHARES = (0.12, 0.70, 0.18)  # most speakers of a Chinese corpus look East Asian
YOUNG, OLD = 25, 90  # years that the mesh's `young` and `old` shapes stand for

# (targets that share a weight, the two ends, mean and standard deviation of the weight); a positive weight leans to
# the second end. Means other than 0 correct the base mesh: its heavy lids and low mouth corners look stern.
DETAILS = (
    (("nose/nose-scale-vert",), "decr", "incr", 0, 0.3),
    (("nose/nose-scale-horiz",), "decr", "incr", 0, 0.3),
    (("nose/nose-volume",), "decr", "incr", -0.1, 0.25),
    (("nose/nose-point",), "down", "up", 0.1, 0.3),
    (("nose/nose-hump",), "decr", "incr", -0.1, 0.25),
    (("chin/chin-width",), "decr", "incr", 0, 0.3),
    (("chin/chin-height",), "decr", "incr", 0, 0.3),
    (("chin/chin-prominent",), "decr", "incr", 0, 0.3),
    (("mouth/mouth-scale-horiz",), "decr", "incr", 0, 0.25),
    (("mouth/mouth-trans",), "down", "up", 0, 0.25),
    (("mouth/mouth-angles",), "down", "up", 0.30, 0.10),
    (("mouth/mouth-lowerlip-volume",), "decr", "incr", 0.1, 0.3),
    (("mouth/mouth-upperlip-volume",), "decr", "incr", 0.1, 0.3),
    (("head/head-scale-horiz",), "decr", "incr", 0.1, 0.3),
    (("head/head-scale-vert",), "decr", "incr", -0.05, 0.2),
    (("forehead/forehead-scale-vert",), "decr", "incr", 0, 0.25),
    (("eyebrows/eyebrows-trans",), "down", "up", 0, 0.2),
    (("eyebrows/eyebrows-angle",), "down", "up", 0.15, 0.12),
    (("eyes/l-eye-scale", "eyes/r-eye-scale"), "decr", "incr", 0.15, 0.2),
    (("eyes/l-eye-height2", "eyes/r-eye-height2"), "decr", "incr", 0.2, 0.2),
    (("eyes/l-eye-trans", "eyes/r-eye-trans"), "in", "out", 0, 0.25),
    (("eyes/l-eye-corner2", "eyes/r-eye-corner2"), "down", "up", 0, 0.25),
    (("cheek/l-cheek-bones", "cheek/r-cheek-bones"), "decr", "incr", 0, 0.3),
    (("cheek/l-cheek-volume", "cheek/r-cheek-volume"), "decr", "incr", 0, 0.3),
    (("ears/l-ear-wing", "ears/r-ear-wing"), "decr", "incr", -0.1, 0.3),
    (("ears/l-ear-scale", "ears/r-ear-scale"), "decr", "incr", -0.1, 0.25),
)
FACE_FORMS = ("oval", "round", "square", "rectangular", "diamond", "triangular", "invertedtriangular")
LIPS_OVERLAP = 0.008  # decimetres by which the lips press into each other at rest


@dataclass(frozen=True)
class Identity:
    """A speaker's traits.

    sex is 'male' or 'female', age in years, origins the weights [3] of `ORIGINS`, fat and muscle in -1..1,
    vertices the neutral shape, float32 [n, 3], decimetres in model axes; its landmarks have the base mesh's centroid.
    """

    seed: int
    sex: str
    age: float
    origins: np.ndarray
    fat: float
    muscle: float
    vertices: np.ndarray


def identity(seed: int, sex: str | None = None, age: float | None = None) -> Identity:
    """The speaker of a seed; even seeds are male and odd ones female unless `sex` says otherwise.

    Raises
    ------
    ValueError
        If `sex` is not 'male' or 'female', or `age` is outside 18-75 years.
    """
    random = np.random.default_rng([seed, 1])
    drawn_age = random.triangular(18, 25, 75)
    age = float(drawn_age if age is None else age)
    sex = ("male", "female")[seed % 2] if sex is None else sex
    if sex not in ("male", "female") or not 18 <= age <= 75:
        raise ValueError(f"head {seed}: sex must be 'male' or 'female' and age 18-75 years, not {sex!r} and {age}")
    main = random.choice(3, p=ORIGIN_SHARES)
    origins = 0.85 * np.eye(3)[main] + 0.15 * random.dirichlet([1, 1, 1])
    fat, muscle = np.clip(random.normal(0, 0.4, 2), -0.85, 0.85)
    weights = macro_weights(sex, age, origins, fat, muscle) | detail_weights(random, origins, fat)
    vertices = base_mesh().vertices.copy()
    for name, weight in weights.items():
        vertices += np.float32(weight) * shape_target(name)
    vertices += close_mouth(vertices)
    return Identity(seed, sex, age, origins, float(fat), float(muscle), upright(vertices))


def identity_vertices(seed: int) -> np.ndarray:
    """Neutral shape of a seed's speaker: float32 [n, 3], decimetres in model axes; no picture is made."""
    return identity(seed).vertices


def upright(vertices: np.ndarray) -> np.ndarray:
    """A shape moved and turned so that its face stands where that of the base mesh stands and looks the same way.

    Stature must move nothing, and a pose of 0 must mean the same for everybody. The targets of a jaw or a forehead tilt
    the face by up to 5 degrees against the axes of the mesh; what counts is the face (least squares over the 68 points).
    """
    reference, face = base_mesh().vertices[LANDMARKS], vertices[LANDMARKS]
    _, rotation = similarity(face - face.mean(0), reference - reference.mean(0))
    return ((vertices - face.mean(0)) @ rotation.T + reference.mean(0)).astype(np.float32)


def close_mouth(vertices: np.ndarray) -> np.ndarray:
    """Offsets [n, 3], a share of jawOpen, that bring the middle of the inner lips of a shape just together."""
    jaw_open = face_units()["jawOpen"]
    upper, lower = LANDMARKS[62], LANDMARKS[66]
    gap = vertices[upper, 1] - vertices[lower, 1]
    return -np.float32((gap + LIPS_OVERLAP) / (jaw_open[upper, 1] - jaw_open[lower, 1])) * jaw_open


def macro_weights(sex: str, age: float, origins: np.ndarray, fat: float, muscle: float) -> dict[str, float]:
    """Weights of the whole-body targets: bilinear between the corner shapes of muscle and weight, linear in age."""
    old = np.clip((age - YOUNG) / (OLD - YOUNG), 0, 1)
    weights = {}
    for stage, share in (("young", 1 - old), ("old", old)):
        for origin, part in zip(ORIGINS, origins, strict=True):
            weights[f"macrodetails/{origin}-{sex}-{stage}"] = share * part
        for muscle_end, muscle_share in ends(muscle):
            for weight_end, weight_share in ends(fat):
                name = f"macrodetails/universal-{sex}-{stage}-{muscle_end}muscle-{weight_end}weight"
                weights[name] = share * muscle_share * weight_share
    return {name: weight for name, weight in weights.items() if weight > 1e-3}


def ends(value: float) -> tuple[tuple[str, float], ...]:
    """Shares of the named shapes between which a value in -1..1 lies."""
    return ("average", 1 - abs(value)), ("max" if value > 0 else "min", abs(value))


def detail_weights(random: np.random.Generator, origins: np.ndarray, fat: float) -> dict[str, float]:
    """Weights of the targets of nose, chin, mouth, eyes, ears and face form."""
    weights = {}
    for names, low, high, mean, spread in DETAILS:
        weight = float(np.clip(random.normal(mean, spread), -0.7, 0.7))
        for name in names:
            weights[f"{name}-{high if weight > 0 else low}"] = abs(weight)
    weights[f"head/head-{random.choice(FACE_FORMS)}"] = random.uniform(0, 0.5)
    weights["head/head-fat-incr" if fat > 0 else "head/head-fat-decr"] = 0.6 * abs(fat)
    if fat > 0.3:
        weights["neck/neck-double-incr"] = 0.7 * (fat - 0.3)
    for side in "lr":  # the inner eye fold
        weights[f"eyes/{side}-eye-epicanthus-in"] = 0.5 * origins[1]
    return weights
