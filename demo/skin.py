"""The painted skin (face, brows, lips, wrinkles, beard, scalp) and the garment."""

from __future__ import annotations

import numpy as np

from demo.hair import HairStyle, above_hairline
from demo.identity import Identity
from demo.mesh import base_mesh, bust_faces
from demo.paint import Colours, atlas_mask, atlas_picture, blend, noise, step
from demo.raster import Part

GARMENT_LIFT = 5.0  # millimetres


def skin(person: Identity, colours: Colours, style: HairStyle, random: np.random.Generator) -> Part:
    """Face, neck and shoulders."""
    mesh, bust = base_mesh(), bust_faces()

    def paint(places: np.ndarray) -> np.ndarray:
        tone = complexion(places, colours, random)
        tone = age_lines(tone, places, colours.wrinkles)
        if person.sex == "male":
            tone = beard(tone, places, colours, random)
        tone = eye_region(tone, places)
        tone = mouth(tone, places, colours)
        tone = brows(tone, places, person, colours, random)
        grown = step(-0.10, 0.05, above_hairline(random, places, style)) * not_ears()
        tone = blend(tone, colours.hair * 0.9, grown * style.density * 0.9)
        return np.concatenate([tone, np.ones((len(tone), 1))], 1)

    picture = atlas_picture(paint, (*colours.skin * 0.6, 1))
    return Part(mesh.faces[bust], mesh.uvs, mesh.uv_faces[bust], picture, wrap=(0.50, 0.36, 0.30), gloss=0.07)


def not_ears() -> np.ndarray:
    """1 on the texels outside the ears, 0 on the ears."""
    return 1 - step(0.1, 0.5, atlas_mask("ears"))


def bump(places: np.ndarray, centre: tuple[float, float, float], radius: float) -> np.ndarray:
    """A soft spot on both sides of the face around a centre given for the left side."""
    away = np.stack([np.abs(places[:, 0]), places[:, 1], places[:, 2]], 1) - centre
    return np.exp(-(away**2).sum(1) / radius**2)


def complexion(places: np.ndarray, colours: Colours, random: np.random.Generator) -> np.ndarray:
    """Skin tone with mottling, blush and the shade below the chin."""
    x, y, z = places.T
    mottle = (
        0.05 * noise(random, x * 5, y * 5) + 0.03 * noise(random, x * 22 + z * 9, y * 22) + 0.02 * random.normal(0, 1, len(x))
    )
    tone = colours.skin * (1 + mottle)[:, None]
    blush = (
        bump(places, (0.42, 6.9, 1.15), 0.20) + bump(places, (0, 6.98, 1.62), 0.11) + 0.6 * bump(places, (0.8, 7.1, 0.4), 0.2)
    )
    tone = blend(tone, tone * [1.04, 0.87, 0.85], np.clip(blush, 0, 1) * 0.5)
    spots = step(0.62, 0.9, noise(random, x * 9, y * 9 + z * 7)) * colours.wrinkles * step(6.6, 7.4, y)
    tone = blend(tone, tone * [0.80, 0.72, 0.66], spots * 0.4)
    return blend(tone, tone * [0.80, 0.66, 0.62], step(6.35, 5.95, y) * step(5.6, 5.8, y) * 0.5)


def age_lines(tone: np.ndarray, places: np.ndarray, amount: float) -> np.ndarray:
    """Folds from nose to mouth, lines on the forehead, at the outer eye corners and below the eyes."""
    x, y, z = np.abs(places[:, 0]), places[:, 1], places[:, 2]
    front = step(0.6, 1.0, z)
    fold_x = np.interp(y, [6.45, 6.6, 6.75, 6.9], [0.33, 0.33, 0.25, 0.15])
    fold = np.exp(-(((x - fold_x) / 0.018) ** 2)) * step(6.5, 6.66, y) * step(6.95, 6.85, y)
    bag_y = 7.16 + 0.9 * (x - 0.31) ** 2 / 0.2
    bag = np.exp(-(((y - bag_y) / 0.018) ** 2)) * step(0.16, 0.22, x) * step(0.46, 0.36, x)
    forehead = sum(np.exp(-(((y - level - 0.03 * np.cos(x * 6)) / 0.012) ** 2)) for level in (7.68, 7.78, 7.88))
    forehead = forehead * step(0.5, 0.3, x)
    feet = sum(np.exp(-(((y - 7.27 - slope * (x - 0.48)) / 0.009) ** 2)) for slope in (0.35, 0.0, -0.35))
    feet = feet * step(0.47, 0.52, x) * step(0.64, 0.56, x)
    lines = np.clip(0.9 * fold + 0.6 * bag + 0.55 * forehead + 0.6 * feet, 0, 1) * front
    return blend(tone, tone * [0.66, 0.56, 0.54], lines * amount * 0.75)


def beard(tone: np.ndarray, places: np.ndarray, colours: Colours, random: np.random.Generator) -> np.ndarray:
    """Nothing, stubble, a short beard, or a moustache with or without a chin beard."""
    kind = random.choice(["shaved", "stubble", "beard", "goatee", "moustache"], p=[0.55, 0.22, 0.09, 0.08, 0.06])
    x, y, z = np.abs(places[:, 0]), places[:, 1], places[:, 2]
    cheek_line = np.interp(x, [0, 0.25, 0.4, 0.6, 0.75], [6.78, 6.70, 6.62, 6.75, 7.10])
    jaw = step(0.03, -0.10, y - cheek_line) * step(5.95, 6.2, y + 0.3 * (z - 1)) * step(0.35, 0.55, z)
    moustache = step(0.29, 0.20, x) * step(6.66, 6.70, y + 0.3 * x) * step(6.81, 6.77, y + 0.25 * x) * step(1.1, 1.3, z)
    chin = np.exp(-((x / 0.17) ** 4)) * step(6.46, 6.40, y) * step(6.05, 6.2, y) * step(0.9, 1.2, z)
    shaved_shadow = np.maximum(jaw, 0.8 * moustache) * random.uniform(0.05, 0.16)
    grain = 0.6 + 0.4 * step(-0.6, 0.6, noise(random, places[:, 0] * 60, y * 60 + z * 20))
    cover = {
        "shaved": shaved_shadow,
        "stubble": np.maximum(jaw, moustache) * 0.45 * grain,
        "beard": np.maximum(jaw, moustache) * 0.85 * grain,
        "goatee": np.maximum(np.maximum(moustache, chin) * 0.8 * grain, shaved_shadow),
        "moustache": np.maximum(moustache * 0.8 * grain, shaved_shadow),
    }[kind]
    return blend(tone, colours.hair * 0.85 + tone * 0.12, cover)


def eye_region(tone: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Shade of the sockets and the line of the lids."""
    mesh = base_mesh()
    ball = mesh.vertices[mesh.vertices_of("helper-l-eye")].mean(0)
    reach = np.minimum(*[np.linalg.norm(places - ball * [side, 1, 1], axis=1) for side in (-1, 1)]) / 0.14
    upper = places[:, 1] > 7.275
    tone = blend(tone, tone * 0.78, step(2.1, 1.2, reach) * np.where(upper, 0.45, 0.35))
    return blend(tone, tone * 0.25 + 0.02, step(1.22, 1.10, reach) * np.where(upper, 0.9, 0.35))


def mouth(tone: np.ndarray, places: np.ndarray, colours: Colours) -> np.ndarray:
    """Lips, and the dark inside of the mouth."""
    x, y, z = places.T
    tone = blend(tone, colours.lips, atlas_mask("lips") * 0.8)
    return blend(tone, np.array([0.34, 0.10, 0.09]) * step(0.7, 1.5, z)[:, None], atlas_mask("inside-mouth"))


def brows(tone: np.ndarray, places: np.ndarray, person: Identity, colours: Colours, random: np.random.Generator) -> np.ndarray:
    """Eyebrows of slanted hairs along an arch."""
    male = person.sex == "male"
    weight = random.uniform(0.7, 1.05) * (1.1 if male else 0.75)
    arch, height = random.uniform(0.02, 0.05) + (0 if male else 0.01), 7.465 + random.uniform(-0.01, 0.015)
    x, y, z = places.T
    along = (np.abs(x) - 0.125) / 0.415
    middle = height + np.interp(along, [0, 0.3, 0.65, 1], [0.5, 0.8, 1, -0.1]) * arch
    thick = np.interp(along, [0, 0.12, 0.6, 1], [0.016, 0.030, 0.026, 0.006]) * weight
    across = (y - middle) / thick
    hairs = step(-0.6, 0.6, noise(random, along * 72 - across * 1.8 + 90 * (x > 0), across * 0.9))
    cover = step(1.3, 0.4, np.abs(across)) * step(-0.06, 0.12, along) * step(1.05, 0.85, along) * (z > 1.0)
    return blend(tone, colours.hair * 0.85 + tone * 0.1, cover * (0.45 + 0.35 * hairs))


def garment(colours: Colours, random: np.random.Generator) -> Part:
    """A pullover, plain or striped, or an open jacket over a shirt: the bust pushed outwards and cut at the neck."""
    mesh, bust = base_mesh(), bust_faces()
    kind = random.choice(["plain", "striped", "jacket"], p=[0.5, 0.2, 0.3])
    collar, depth = random.uniform(5.34, 5.50), random.uniform(0.25, 0.55)
    second = colours.cloth * 0.35 + 0.6 * random.uniform(0.6, 1)

    def paint(places: np.ndarray) -> np.ndarray:
        x, y, z = places.T
        below = collar + depth * (0.5 - z) + 0.45 * np.abs(x) - y  # a slanting plane, higher at the sides
        weave = 1 + 0.05 * noise(random, x * 60, y * 60) + 0.06 * noise(random, x * 4, y * 4)
        tone = colours.cloth * np.ones((len(x), 1))
        if kind == "striped":
            tone = blend(tone, second, step(-0.1, 0.1, np.sin(y * 28)))
        band = step(0.11, 0.09, below)
        if kind == "jacket":
            lapel = np.abs(x) - 0.28 - 0.55 * step(4.4, 5.6, y)
            tone = blend(tone, second, step(0.01, -0.01, lapel) * step(-0.2, 0.2, z))
            tone = blend(tone, tone * 0.7, np.exp(-((lapel / 0.02) ** 2)) * step(-0.2, 0.2, z))
        tone = tone * (weave * (1 - 0.25 * band))[:, None]
        return np.concatenate([tone, step(0, 0.015, below)[:, None]], 1)

    chosen = bust[mesh.vertices[mesh.faces[bust]][:, :, 1].min(1) < 6.4]
    lift = np.full((len(mesh.vertices), 1), GARMENT_LIFT, np.float32)
    return Part(mesh.faces[chosen], mesh.uvs, mesh.uv_faces[chosen], atlas_picture(paint), lift=lift)
