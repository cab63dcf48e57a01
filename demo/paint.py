"""What every painted surface needs: smooth steps, noise, the skin atlas and the speaker's colours."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from demo.identity import Identity
from demo.mesh import base_mesh, bust_faces, data_folder
from demo.raster import bake_positions

ATLAS = 1024  # side of the painted skin picture, texels
SKIN_TONES = np.array([[0.89, 0.71, 0.61], [0.84, 0.66, 0.54], [0.74, 0.54, 0.42], [0.58, 0.40, 0.29], [0.42, 0.28, 0.20]])
HAIR_TONES = np.array([[0.05, 0.045, 0.045], [0.10, 0.07, 0.055], [0.22, 0.13, 0.08], [0.42, 0.27, 0.14], [0.36, 0.14, 0.07]])
IRIS_TONES = np.array([[0.20, 0.10, 0.05], [0.28, 0.16, 0.08], [0.25, 0.32, 0.18], [0.25, 0.38, 0.52], [0.35, 0.42, 0.45]])
GREY = np.array([0.58, 0.57, 0.56])


@dataclass(frozen=True)
class Colours:
    """Tones are RGB in 0..1; wrinkles is an amount in 0..1."""

    skin: np.ndarray
    lips: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    cloth: np.ndarray
    wrinkles: float


def choose_colours(person: Identity, random: np.random.Generator) -> Colours:
    """Skin, hair and eyes that go with the speaker's origins and age; cloth of any muted colour."""
    melanin = float(np.clip(person.origins @ [3.4, 0.9, 0.5] + random.normal(0, 0.35), 0, 4))
    skin = np.array([np.interp(melanin, range(5), channel) for channel in SKIN_TONES.T])
    fair = person.origins[2] > 0.5
    hair = HAIR_TONES[random.integers(len(HAIR_TONES)) if fair else random.choice(3, p=[0.6, 0.3, 0.1])]
    iris = IRIS_TONES[random.integers(len(IRIS_TONES)) if fair else random.integers(2)]
    grey = float(step(46, 72, person.age + random.normal(0, 4)))
    wrinkles = float(step(32, 72, person.age))
    rouge = random.uniform(0, 1) if person.sex == "female" else 0
    lips = skin * ([0.88, 0.70, 0.67] + rouge * np.array([-0.02, -0.18, -0.13])) + [0.03, 0, 0.01]
    hue = random.uniform(0.15, 0.75, 3)
    cloth = hue.mean() + (hue - hue.mean()) * 0.6
    return Colours(skin, lips, hair + (GREY - hair) * grey, iris, cloth, wrinkles)


def step(low: float, high: float, value: np.ndarray | float) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between; the bounds may be given in falling order."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def noise(random: np.random.Generator, x: np.ndarray, y: np.ndarray, size: int = 256) -> np.ndarray:
    """Smooth noise in -1..1 at the given coordinates; one cell of the random grid is one unit."""
    grid = random.uniform(-1, 1, (size, size)).astype(np.float32)
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    q, p = x - column, y - row

    def at(down: int, right: int) -> np.ndarray:
        return grid[(row + down) % size, (column + right) % size]

    return (at(0, 0) * (1 - q) + at(0, 1) * q) * (1 - p) + (at(1, 0) * (1 - q) + at(1, 1) * q) * p


def blend(colour: np.ndarray, over: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """`colour` [..., 3] covered by `over` to the degree `amount` [...]."""
    return colour + (np.asarray(over) - colour) * np.asarray(amount)[..., None]


@functools.cache
def atlas_places() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The texels that the bust covers: places [n, 3] on the base mesh (decimetres), rows [n], columns [n]."""
    mesh, bust = base_mesh(), bust_faces()
    places = bake_positions(mesh.vertices, mesh.uvs, mesh.faces[bust], mesh.uv_faces[bust], ATLAS)
    rows, columns = np.nonzero(~np.isnan(places[:, :, 0]))
    return places[rows, columns], rows, columns


@functools.cache
def atlas_mask(name: str) -> np.ndarray:
    """One of the mesh's own masks (`lips`, `ears`, `inside-mouth`, ...) at the texels of `atlas_places`, in 0..1."""
    path = data_folder() / f"mpfb2/textures/mpfb_{name}.jpg"
    _, rows, columns = atlas_places()
    picture = np.asarray(Image.open(path).convert("L").resize((ATLAS, ATLAS)), np.float32)
    return picture[rows, columns] / 255


def atlas_picture(paint: Callable[[np.ndarray], np.ndarray], rest: tuple[float, ...] = (0, 0, 0, 0)) -> np.ndarray:
    """An RGBA picture of the skin atlas.

    Parameters
    ----------
    paint : places [n, 3] -> RGBA [n, 4], for the texels that the bust covers
    rest : RGBA of all other texels
    """
    places, rows, columns = atlas_places()
    picture = np.full((ATLAS, ATLAS, 4), rest, np.float32)
    picture[rows, columns] = np.clip(paint(places), 0, 1)
    return picture
