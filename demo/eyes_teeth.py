"""Eyeballs, lashes, teeth and tongue: helper parts of the mesh, each with a small painted texture of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from demo.identity import Identity
from demo.mesh import base_mesh
from demo.paint import Colours, blend, noise, step
from demo.raster import Part


def own_texture(group: str, project: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], picture: np.ndarray,
                **options) -> Part:
    """A group of the mesh whose texture coordinates are `project(base vertices)` -> (u, v), both in 0..1."""
    mesh = base_mesh()
    faces, used = mesh.faces[mesh.faces_of(group)], mesh.vertices_of(group)
    uvs = np.zeros((len(mesh.vertices), 2), np.float32)
    uvs[used] = np.stack(project(mesh.vertices[used]), 1)
    return Part(faces, uvs, faces, np.ascontiguousarray(picture, np.float32), **options)


def opaque(tone: np.ndarray) -> np.ndarray:
    """RGB [h, w, 3] to RGBA, clipped to 0..1."""
    return np.dstack([np.clip(tone, 0, 1), np.ones(tone.shape[:2])])


def eyes(colours: Colours, random: np.random.Generator) -> list[Part]:
    """White, iris, pupil and highlight around the front pole; the texture turns with the eyeball."""
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    reach, angle = np.hypot(x, y), np.arctan2(y, x)
    tone = np.array([.84, .81, .78]) * (1 - .4 * step(.3, .8, reach))[..., None]
    fibre = noise(random, angle * 14 + 50, reach * 5)
    iris = colours.iris * (1.1 + .35 * fibre - .9 * step(.29, .36, reach) + .5 * step(.15, .3, reach))[..., None]
    tone = tone + (iris - tone) * step(.37, .34, reach)[..., None]
    tone = tone * (1 - .96 * step(.17, .14, reach))[..., None]
    tone = tone + .9 * step(.07, .04, np.hypot(x - .08, y + .08))[..., None]

    def project(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centre = (points.min(0) + points.max(0)) / 2
        away = (points - centre) / np.linalg.norm(points - centre, axis=1, keepdims=True)
        polar = np.arccos(np.clip(away[:, 2], -1, 1)) / np.pi / np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-6)
        return .5 + polar * away[:, 0], .5 + polar * away[:, 1]

    return [own_texture(group, project, opaque(tone), gloss=.06) for group in ('helper-l-eye', 'helper-r-eye')]


def teeth() -> list[Part]:
    """Two rows of fourteen teeth with gums, along arches that rise and darken towards the back of the mouth."""
    v, u = np.mgrid[1:0:64j, 0:1:256j]
    parts = []
    # height of the arch in front, its rise per depth, and its height from gum to edge
    for group, gum, floor, rise, tall in (('helper-upper-teeth', v, 6.60, .20, .19),
                                          ('helper-lower-teeth', 1 - v, 6.43, .33, .17)):
        gap = step(.03, .16, 1 - 2 * np.abs((u * 14) % 1 - .5))
        tone = np.array([.82, .79, .73]) * (.72 + .28 * gap)[..., None]
        tone = blend(tone, np.array([.46, .17, .17]), step(.5, .66, gum))
        tone = blend(tone, np.array([.20, .07, .06]), .95 * step(.09, .20, np.abs(u - .5)))

        def project(points: np.ndarray, floor=floor, rise=rise, tall=tall) -> tuple[np.ndarray, np.ndarray]:
            x, y, z = points.T
            return .5 + np.arctan2(x, z - .95) / np.pi, np.clip((y - floor - rise * (1.45 - z)) / tall, 0, 1)

        parts.append(own_texture(group, project, opaque(tone), gloss=.04))
    return parts


def tongue() -> Part:
    """The tongue, darker towards the throat, with its middle furrow."""
    v, u = np.mgrid[1:0:32j, 0:1:32j]
    tone = np.array([.62, .27, .26]) * (step(0, .9, v) * (1 - .3 * np.exp(-((u - .5) / .06) ** 2)))[..., None]
    return own_texture('helper-tongue', lambda points: (.5 + points[:, 0] / .6, (points[:, 2] - .63) / .8),
                       opaque(tone), gloss=.04)


def lashes(person: Identity, random: np.random.Generator) -> list[Part]:
    """Cards of lashes that thin out away from the eyeball; lower ones for women only."""
    v, u = np.mgrid[1:0:32j, 0:1:512j]
    alpha = .8 * step(0, .9, 1 - v) * step(-.3, .3, noise(random, u * 170, v * 2))
    picture = np.dstack([np.full((32, 512, 3), .05), alpha])

    def project(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        away = points - np.array([.31 * np.sign(points[0, 0]), 7.28, 1.25])
        reach = np.linalg.norm(away, axis=1)
        return .5 + np.arctan2(away[:, 1], away[:, 0]) / 2 / np.pi, (reach - reach.min()) / np.ptp(reach)

    rows = '2' if person.sex == 'male' else '12'
    return [own_texture(f'helper-{side}-eyelashes-{row}', project, picture, both_sides=True, bias=.2)
            for side in 'lr' for row in rows]
