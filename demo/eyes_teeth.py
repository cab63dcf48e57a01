"""Eyeballs, lashes, teeth and tongue: helper parts of the mesh, each with a small painted texture of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from demo.identity import Identity
from demo.mesh import base_mesh
from demo.paint import Colours, blend, noise, step
from demo.raster import Part

# Edges of iris and pupil in the painted texture: angle from the front pole, in quarter turns.
IRIS_REACH, PUPIL_REACH = 0.355, 0.155


def own_texture(
    group: str, project: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], picture: np.ndarray, **options
) -> Part:
    """A group of the mesh whose texture coordinates are `project(base vertices)` -> (u, v), both in 0..1."""
    mesh = base_mesh()
    faces, used = mesh.faces[mesh.faces_of(group)], mesh.vertices_of(group)
    uvs = np.zeros((len(mesh.vertices), 2), np.float32)
    uvs[used] = np.stack(project(mesh.vertices[used]), 1)
    return Part(faces, uvs, faces, np.ascontiguousarray(picture, np.float32), **options)


def opaque(tone: np.ndarray) -> np.ndarray:
    """RGB [h, w, 3] to RGBA, clipped to 0..1."""
    return np.dstack([np.clip(tone, 0, 1), np.ones(tone.shape[:2])])


def around_the_pole(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Texture coordinates of points [n, 3] of an eyeball: angle from the front pole in half turns, from the middle."""
    centre = (points.min(0) + points.max(0)) / 2
    away = (points - centre) / np.linalg.norm(points - centre, axis=1, keepdims=True)
    polar = np.arccos(np.clip(away[:, 2], -1, 1)) / np.pi / np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-6)
    return 0.5 + polar * away[:, 0], 0.5 + polar * away[:, 1]


def rims(group: str) -> tuple[np.ndarray, np.ndarray]:
    """Where the painted rims of iris and pupil lie on an eyeball of the mesh, eight points each.

    They go from the left of the image over the top.

    Returns
    -------
    (int [16, 3], float32 [16, 3])
        The vertices around each point, iris first, and their weights, as the texture is drawn.
    """
    mesh = base_mesh()
    faces, used = mesh.faces[mesh.faces_of(group)], mesh.vertices_of(group)
    uvs = np.zeros((len(mesh.vertices), 2))
    uvs[used] = np.stack(around_the_pole(mesh.vertices[used]), 1)
    turns = np.arange(8) * np.pi / 4
    ring = np.stack([-np.cos(turns), np.sin(turns)], 1)
    places = 0.5 + 0.5 * np.concatenate([IRIS_REACH * ring, PUPIL_REACH * ring])
    middle = mesh.vertices[used][:, 2].mean()
    faces = faces[(mesh.vertices[faces, 2] > middle).all(1)]  # before the equator; the back pole has no such coordinates
    corners = np.concatenate([uvs[faces], np.ones((len(faces), 3, 1))], 2)  # rows: u, v, 1
    weights = np.concatenate([places, np.ones((16, 1))], 1) @ np.linalg.inv(corners)  # barycentric [faces, 16, 3]
    inside = weights.min(2).argmax(0)
    return faces[inside], weights[inside, np.arange(16)].astype(np.float32)


def eyes(colours: Colours, random: np.random.Generator) -> list[Part]:
    """White, iris, pupil and highlight around the front pole; the texture turns with the eyeball."""
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    reach, angle = np.hypot(x, y), np.arctan2(y, x)
    tone = np.array([0.84, 0.81, 0.78]) * (1 - 0.4 * step(0.3, 0.8, reach))[..., None]
    fibre = noise(random, angle * 14 + 50, reach * 5)
    iris = colours.iris * (1.1 + 0.35 * fibre - 0.9 * step(0.29, 0.36, reach) + 0.5 * step(0.15, 0.3, reach))[..., None]
    tone = tone + (iris - tone) * step(0.37, 0.34, reach)[..., None]
    tone = tone * (1 - 0.96 * step(0.17, 0.14, reach))[..., None]
    tone = tone + 0.9 * step(0.07, 0.04, np.hypot(x - 0.08, y + 0.08))[..., None]
    return [own_texture(group, around_the_pole, opaque(tone), gloss=0.06) for group in ("helper-l-eye", "helper-r-eye")]


def teeth() -> list[Part]:
    """Two rows of fourteen teeth with gums, along arches that rise and darken towards the back of the mouth."""
    v, u = np.mgrid[1:0:64j, 0:1:256j]
    parts = []
    # height of the arch in front, its rise per depth, and its height from gum to edge
    for group, gum, floor, rise, tall in (
        ("helper-upper-teeth", v, 6.60, 0.20, 0.19),
        ("helper-lower-teeth", 1 - v, 6.43, 0.33, 0.17),
    ):
        gap = step(0.03, 0.16, 1 - 2 * np.abs((u * 14) % 1 - 0.5))
        tone = np.array([0.82, 0.79, 0.73]) * (0.72 + 0.28 * gap)[..., None]
        tone = blend(tone, np.array([0.46, 0.17, 0.17]), step(0.5, 0.66, gum))
        tone = blend(tone, np.array([0.20, 0.07, 0.06]), 0.95 * step(0.09, 0.20, np.abs(u - 0.5)))

        def project(points: np.ndarray, floor=floor, rise=rise, tall=tall) -> tuple[np.ndarray, np.ndarray]:
            x, y, z = points.T
            return 0.5 + np.arctan2(x, z - 0.95) / np.pi, np.clip((y - floor - rise * (1.45 - z)) / tall, 0, 1)

        parts.append(own_texture(group, project, opaque(tone), gloss=0.04))
    return parts


def tongue() -> Part:
    """The tongue, darker towards the throat, with its middle furrow."""
    v, u = np.mgrid[1:0:32j, 0:1:32j]
    tone = np.array([0.62, 0.27, 0.26]) * (step(0, 0.9, v) * (1 - 0.3 * np.exp(-(((u - 0.5) / 0.06) ** 2))))[..., None]
    return own_texture(
        "helper-tongue", lambda points: (0.5 + points[:, 0] / 0.6, (points[:, 2] - 0.63) / 0.8), opaque(tone), gloss=0.04
    )


def lashes(person: Identity, random: np.random.Generator) -> list[Part]:
    """Cards of lashes that thin out away from the eyeball; lower ones for women only."""
    v, u = np.mgrid[1:0:32j, 0:1:512j]
    alpha = 0.8 * step(0, 0.9, 1 - v) * step(-0.3, 0.3, noise(random, u * 170, v * 2))
    picture = np.dstack([np.full((32, 512, 3), 0.05), alpha])

    def project(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        away = points - np.array([0.31 * np.sign(points[0, 0]), 7.28, 1.25])
        reach = np.linalg.norm(away, axis=1)
        return 0.5 + np.arctan2(away[:, 1], away[:, 0]) / 2 / np.pi, (reach - reach.min()) / np.ptp(reach)

    rows = "2" if person.sex == "male" else "12"
    return [
        own_texture(f"helper-{side}-eyelashes-{row}", project, picture, both_sides=True, bias=0.2)
        for side in "lr"
        for row in rows
    ]
