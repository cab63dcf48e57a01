"""Hair: a cap of scalp pushed outwards for every style, and a hanging shell for bobs and long hair."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from demo.identity import Identity
from demo.mesh import base_mesh, bust_faces
from demo.paint import Colours, atlas_mask, atlas_picture, noise, step
from demo.raster import Part

SHOULDER = 5.75  # height at which hair beside the neck ends
SKULL = np.array([0, 7.60, 0.35])  # centre from which the shell of hanging hair is measured


@dataclass(frozen=True)
class HairStyle:
    """A way to wear hair; lengths in decimetres.

    hairline : raises the line where hair starts; recede : raises it at the temples; curtain :
    hair falls this far over the temples from a parting; fringe : hair hangs this far below
    the line in front; sweep : slant of the front, to one side; top, side : thickness; density : cover of the scalp, 0..1
    crown : height below which alone hair grows (baldness), or None; hang : height of the ends of hanging hair, or None
    opening : azimuth in degrees at which hanging hair frames the face
    """

    hairline: float = 0.0
    recede: float = 0.0
    curtain: float = 0.0
    fringe: float = 0.0
    sweep: float = 0.0
    top: float = 0.09
    side: float = 0.04
    density: float = 1.0
    crown: float | None = None
    hang: float | None = None
    opening: float = 70.0


def choose_style(person: Identity, random: np.random.Generator) -> HairStyle:
    """A style that goes with sex and age."""
    line, sweep = random.uniform(-0.04, 0.06), random.choice([-1, 1]) * random.uniform(0.1, 0.3)
    if person.sex == "male":
        old = step(35, 70, person.age)
        kind = random.choice(
            ["short", "side_part", "swept_up", "fringe", "buzz", "receding", "bald"],
            p=np.array([0.25, 0.2, 0.15, 0.2, 0.1, 0.1, 0]) * (1 - 0.55 * old) + np.array([0, 0, 0, 0, 0, 0.35, 0.20]) * old,
        )
    else:
        kind = random.choice(
            ["long", "bob", "fringe_bob", "fringe_long", "tied", "pixie"], p=[0.25, 0.18, 0.15, 0.14, 0.18, 0.10]
        )
    opening = random.uniform(52, 62)
    parting, bangs = random.uniform(0.05, 0.35), random.uniform(0.22, 0.36)
    bob, long = random.uniform(6.1, 6.5), random.uniform(5.0, 5.7)
    return {
        "short": HairStyle(line, 0.03, fringe=0.02, sweep=0.3 * sweep, top=random.uniform(0.07, 0.12)),
        "side_part": HairStyle(line, 0.04, fringe=0.06, sweep=sweep, top=random.uniform(0.11, 0.17)),
        "swept_up": HairStyle(line + 0.02, 0.06, sweep=0.2 * sweep, top=random.uniform(0.14, 0.20), side=0.03),
        "fringe": HairStyle(
            line, fringe=random.uniform(0.12, 0.26), sweep=0.4 * sweep, top=random.uniform(0.1, 0.14), side=0.06
        ),
        "buzz": HairStyle(line, 0.04, top=0.015, side=0.01, density=0.75),
        "receding": HairStyle(line + 0.10, 0.22, top=random.uniform(0.04, 0.07), side=0.035, density=0.85),
        "bald": HairStyle(line, top=0.03, side=0.025, density=0.8, crown=random.uniform(7.45, 7.7)),
        "long": HairStyle(line, curtain=parting, sweep=0.2 * sweep, side=0.06, hang=long, opening=opening),
        "bob": HairStyle(line, curtain=parting, sweep=0.4 * sweep, top=0.12, side=0.07, hang=bob, opening=opening),
        "fringe_bob": HairStyle(line, fringe=bangs, top=0.12, side=0.07, hang=bob, opening=opening),
        "fringe_long": HairStyle(line, fringe=bangs, side=0.06, hang=long, opening=opening),
        "tied": HairStyle(line, curtain=0.3 * parting, sweep=0.1 * sweep, top=0.05, side=0.03),
        "pixie": HairStyle(line, fringe=random.uniform(0.10, 0.25), sweep=sweep, top=0.12, side=0.07),
    }[kind]


def azimuth(places: np.ndarray) -> np.ndarray:
    """Degrees around the head, 0 in front, positive to the subject's left."""
    return np.degrees(np.arctan2(places[:, 0], places[:, 2] - 0.45))


def above_hairline(random: np.random.Generator, places: np.ndarray, style: HairStyle, ragged: float = 0.05) -> np.ndarray:
    """Height [n] of places [n, 3] of the base mesh above the line where the hair of a style starts."""
    signed = azimuth(places)
    around = np.abs(signed)
    line = np.interp(
        around, [0, 25, 40, 55, 68, 80, 92, 108, 130, 180], [8.06, 8.08, 8.06, 7.85, 7.55, 7.22, 7.42, 7.15, 6.75, 6.6]
    )
    front = np.cos(np.radians(np.minimum(around, 90)))
    line = line + style.hairline * front + style.recede * np.exp(-(((around - 35) / 16) ** 2))
    line = line - step(62, 40, around) * (style.fringe + style.sweep * signed / 60)
    line = line - style.curtain * step(8, 45, around) * step(75, 55, around)
    y = places[:, 1]
    spiky = 0.8 + 0.8 * front * (style.fringe > 0)
    line = line + ragged * (noise(random, signed * 0.12, y * 2) + spiky * noise(random, signed * 0.6, y * 2))
    above = y - line
    return above if style.crown is None else np.minimum(above, style.crown + 0.25 * step(90, 180, around) - y)


def strands(random: np.random.Generator, places: np.ndarray) -> np.ndarray:
    """Hair brightness, about -1..1, that runs in streaks from the crown downwards."""
    x, y, z = places.T
    around, down = np.arctan2(x, z - 0.25), np.hypot(np.hypot(x, z - 0.25), y - 8.4)
    return 0.6 * noise(random, around * 38, down * 3) + 0.4 * noise(random, around * 90, down * 6)


def strand_tone(colours: Colours, streak: np.ndarray, y: np.ndarray) -> np.ndarray:
    """RGB [..., 3] of strands of a given brightness at height y, with a band of sheen around the head."""
    sheen = np.exp(-(((y - 8.05) / 0.16) ** 2)) * step(-0.5, 0.8, streak)
    return np.clip(colours.hair * (1 + 0.45 * streak)[..., None] + 0.07 * sheen[..., None], 0, 1)


def cap(colours: Colours, style: HairStyle, random: np.random.Generator) -> Part:
    """The scalp once more, pushed outwards, see-through at the hairline."""
    mesh, bust = base_mesh(), bust_faces()

    def paint(places: np.ndarray) -> np.ndarray:
        grown = step(-0.05, 0.07, above_hairline(random, places, style)) * (1 - step(0.1, 0.5, atlas_mask("ears")))
        streak = strands(random, places)
        alpha = grown * step(0.15, 0.55, grown + 0.25 * streak) * style.density
        return np.concatenate([strand_tone(colours, streak, places[:, 1]), alpha[:, None]], 1)

    above = above_hairline(np.random.default_rng(0), mesh.vertices, style, ragged=0)
    thickness = style.side + (style.top - style.side) * step(7.2, 8.5, mesh.vertices[:, 1])
    lift = np.float32(100 * thickness * step(0, 0.5, above))[:, None]
    chosen = bust[mesh.vertices[mesh.faces[bust]][:, :, 1].max(1) > 6.4]
    return Part(mesh.faces[chosen], mesh.uvs, mesh.uv_faces[chosen], atlas_picture(paint), gloss=0.04, bias=1.2, lift=lift)


def skull_radius(vertices: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """How far the head reaches along unit directions [n, 3] from `SKULL`: its support function within 16 degrees."""
    away = vertices - SKULL
    along = directions @ away.T
    near = along > np.cos(np.radians(16)) * np.linalg.norm(away, axis=1)
    return np.where(near, along, 0).max(1)


def waist_radius(vertices: np.ndarray, around: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """How far the head reaches from the vertical axis through `SKULL` [rows, columns]: azimuths in radians within
    18 degrees, heights [rows, columns] within .12; 0 where there is nothing."""
    x, y, z = (vertices - SKULL * [1, 0, 1]).T
    apart = np.abs((np.arctan2(x, z) - around[:, None] + np.pi) % (2 * np.pi) - np.pi)  # [columns, vertices]
    reach = np.where(apart < np.radians(18), np.hypot(x, z), 0)
    return np.stack([np.where(np.abs(y - row[:, None]) < 0.12, reach, 0).max(1) for row in heights])


def smooth_around(radius: np.ndarray) -> np.ndarray:
    """Running mean over five columns of a closed ring [rows, columns] whose last column repeats the first."""
    ring = sum(np.roll(radius[:, :-1], shift, 1) for shift in range(-2, 3)) / 5
    return np.concatenate([ring, ring[:, :1]], 1)


def hanging_shell(person: Identity, colours: Colours, style: HairStyle, random: np.random.Generator) -> tuple[np.ndarray, Part]:
    """Hair that falls from the crown over the skull and hangs straight down to its ends.

    Returns
    -------
    vertices : float32 [n, 3], decimetres in model axes; part : its faces count these vertices from 0
    """
    columns, dome, fall = 73, 14, 14
    around = np.radians(np.linspace(-180, 180, columns))
    mesh, skin_numbers = base_mesh(), np.unique(base_mesh().faces[bust_faces()])
    head = person.vertices[skin_numbers[mesh.vertices[skin_numbers, 1] > 6.3]]
    ring = np.stack([np.sin(around), np.zeros(columns), np.cos(around)], 1)
    directions = np.stack([ring * np.cos(angle) + [0, np.sin(angle), 0] for angle in np.radians(np.linspace(90, 0, dome))])
    radius = smooth_around(skull_radius(head, directions.reshape(-1, 3)).reshape(dome, columns))
    upper_y = SKULL[1] + directions[..., 1] * radius
    drop = np.linspace(0, 1, fall + 1)[1:, None]
    ends = style.hang - 0.15 * np.cos(around)
    ends = np.where(np.cos(around) > -0.3, np.maximum(ends, SHOULDER), ends)  # nothing hangs before the chest
    lower_y = SKULL[1] + drop * (ends - SKULL[1])
    # hanging hair never comes in again below the widest place above it
    hanging = smooth_around(np.maximum.accumulate(np.concatenate([radius[-1:], waist_radius(head, around, lower_y)])))[1:]
    hanging = hanging * (1 + 0.06 * drop)

    inside = np.degrees(np.abs(around)) - face_edge(np.concatenate([upper_y, lower_y]), style)
    thick = 0.035 + (style.side + 0.05) * step(-5, 45, inside)  # lies close to the skin at the edge
    upper = SKULL + directions * (radius + thick[:dome])[..., None]
    lower = ring * (hanging + thick[dome:])[..., None] + SKULL * [1, 0, 1] + lower_y[..., None] * [0, 1, 0]
    vertices = np.concatenate([upper, lower]).astype(np.float32)
    rows = dome + fall
    v, u = np.linspace(1, 0, rows), np.linspace(0, 1, columns)
    uvs = np.stack(np.meshgrid(u, v), -1).reshape(-1, 2).astype(np.float32)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1, 1)
    faces = np.concatenate([corner + [0, columns, 1], corner + [1, columns, columns + 1]])
    faces = faces[np.argsort(vertices.reshape(-1, 3)[faces, 2].mean(1), kind="stable")]  # from the back, for blending
    picture = shell_picture(vertices, colours, style, random)
    return vertices.reshape(-1, 3), Part(faces, uvs, faces, picture, gloss=0.05, both_sides=True, bias=0.5)


def face_edge(y: np.ndarray, style: HairStyle) -> np.ndarray:
    """Azimuth in degrees from which hanging hair grows at height y: it frames the face and closes above it."""
    return np.interp(y, [6.8, 7.4, 7.8, 8.05, 8.25], [style.opening, style.opening, style.opening - 12, 30, -50])


def shell_picture(vertices: np.ndarray, colours: Colours, style: HairStyle, random: np.random.Generator) -> np.ndarray:
    """RGBA texture of the shell: streaks along the strands, see-through over the face and at the ragged ends."""
    rows, columns = 256, 720
    row, column = np.mgrid[0 : 1 : rows * 1j, -180 : 180 : columns * 1j]
    height = vertices[:, :, 1]
    y = cv2.resize(height, (columns, rows), interpolation=cv2.INTER_LINEAR)
    around = np.abs(column)
    wave = 4 * noise(random, column * 0 + 3, y * 2) + 3 * noise(random, column * 0.2, y)
    soft = 5 + 40 * step(7.85, 8.05, y)  # no edge may show where the shell lies on the cap
    sides = step(-2, soft, around - face_edge(y, style) + wave)
    streak = 0.6 * noise(random, column * 0.45, row * 4) + 0.4 * noise(random, column * 1.1, row * 8)
    tip = step(0, 0.05, 1 - row - 0.04 * (1 + noise(random, column * 0.6, 0 * row)))
    alpha = sides * tip
    return np.dstack([strand_tone(colours, streak, y), alpha]).astype(np.float32)
