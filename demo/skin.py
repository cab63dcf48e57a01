"""The painted skin (face, brows, lips, wrinkles, beard, scalp) and the garment."""

from __future__ import annotations

import numpy as np

from demo.hair import HairStyle, above_hairline
from demo.identity import Identity
from demo.mesh import base_mesh, bust_faces
from demo.paint import Colours, atlas_mask, atlas_picture, blend, noise, step
from demo.raster import Part

GARMENT_LIFT = 5.  # millimetres


def skin(person: Identity, colours: Colours, style: HairStyle, random: np.random.Generator) -> Part:
    """Face, neck and shoulders."""
    mesh, bust = base_mesh(), bust_faces()

    def paint(places: np.ndarray) -> np.ndarray:
        tone = complexion(places, colours, random)
        tone = age_lines(tone, places, colours.wrinkles)
        if person.sex == 'male':
            tone = beard(tone, places, colours, random)
        tone = eye_region(tone, places)
        tone = mouth(tone, places, colours)
        tone = brows(tone, places, person, colours, random)
        grown = step(-.10, .05, above_hairline(random, places, style)) * not_ears()
        tone = blend(tone, colours.hair * .9, grown * style.density * .9)
        return np.concatenate([tone, np.ones((len(tone), 1))], 1)

    picture = atlas_picture(paint, (*colours.skin * .6, 1))
    return Part(mesh.faces[bust], mesh.uvs, mesh.uv_faces[bust], picture, wrap=(.50, .36, .30), gloss=.07)


def not_ears() -> np.ndarray:
    """1 on the texels outside the ears, 0 on the ears."""
    return 1 - step(.1, .5, atlas_mask('ears'))


def bump(places: np.ndarray, centre: tuple[float, float, float], radius: float) -> np.ndarray:
    """A soft spot on both sides of the face around a centre given for the left side."""
    away = np.stack([np.abs(places[:, 0]), places[:, 1], places[:, 2]], 1) - centre
    return np.exp(-(away ** 2).sum(1) / radius ** 2)


def complexion(places: np.ndarray, colours: Colours, random: np.random.Generator) -> np.ndarray:
    """Skin tone with mottling, blush and the shade below the chin."""
    x, y, z = places.T
    mottle = (.05 * noise(random, x * 5, y * 5) + .03 * noise(random, x * 22 + z * 9, y * 22)
              + .02 * random.normal(0, 1, len(x)))
    tone = colours.skin * (1 + mottle)[:, None]
    blush = bump(places, (.42, 6.9, 1.15), .20) + bump(places, (0, 6.98, 1.62), .11) + .6 * bump(places, (.8, 7.1, .4), .2)
    tone = blend(tone, tone * [1.04, .87, .85], np.clip(blush, 0, 1) * .5)
    spots = step(.62, .9, noise(random, x * 9, y * 9 + z * 7)) * colours.wrinkles * step(6.6, 7.4, y)
    tone = blend(tone, tone * [.80, .72, .66], spots * .4)
    return blend(tone, tone * [.80, .66, .62], step(6.35, 5.95, y) * step(5.6, 5.8, y) * .5)


def age_lines(tone: np.ndarray, places: np.ndarray, amount: float) -> np.ndarray:
    """Folds from nose to mouth, lines on the forehead, at the outer eye corners and below the eyes."""
    x, y, z = np.abs(places[:, 0]), places[:, 1], places[:, 2]
    front = step(.6, 1.0, z)
    fold_x = np.interp(y, [6.45, 6.6, 6.75, 6.9], [.33, .33, .25, .15])
    fold = np.exp(-((x - fold_x) / .018) ** 2) * step(6.5, 6.66, y) * step(6.95, 6.85, y)
    bag_y = 7.16 + .9 * (x - .31) ** 2 / .2
    bag = np.exp(-((y - bag_y) / .018) ** 2) * step(.16, .22, x) * step(.46, .36, x)
    forehead = sum(np.exp(-((y - level - .03 * np.cos(x * 6)) / .012) ** 2) for level in (7.68, 7.78, 7.88))
    forehead = forehead * step(.5, .3, x)
    feet = sum(np.exp(-((y - 7.27 - slope * (x - .48)) / .009) ** 2) for slope in (.35, 0., -.35))
    feet = feet * step(.47, .52, x) * step(.64, .56, x)
    lines = np.clip(.9 * fold + .6 * bag + .55 * forehead + .6 * feet, 0, 1) * front
    return blend(tone, tone * [.66, .56, .54], lines * amount * .75)


def beard(tone: np.ndarray, places: np.ndarray, colours: Colours, random: np.random.Generator) -> np.ndarray:
    """Nothing, stubble, a short beard, or a moustache with or without a chin beard."""
    kind = random.choice(['shaved', 'stubble', 'beard', 'goatee', 'moustache'], p=[.55, .22, .09, .08, .06])
    x, y, z = np.abs(places[:, 0]), places[:, 1], places[:, 2]
    cheek_line = np.interp(x, [0, .25, .4, .6, .75], [6.78, 6.70, 6.62, 6.75, 7.10])
    jaw = step(.03, -.10, y - cheek_line) * step(5.95, 6.2, y + .3 * (z - 1)) * step(.35, .55, z)
    moustache = step(.29, .20, x) * step(6.66, 6.70, y + .3 * x) * step(6.81, 6.77, y + .25 * x) * step(1.1, 1.3, z)
    chin = np.exp(-(x / .17) ** 4) * step(6.46, 6.40, y) * step(6.05, 6.2, y) * step(.9, 1.2, z)
    shaved_shadow = np.maximum(jaw, .8 * moustache) * random.uniform(.05, .16)
    grain = (.6 + .4 * step(-.6, .6, noise(random, places[:, 0] * 60, y * 60 + z * 20)))
    cover = {'shaved': shaved_shadow,
             'stubble': np.maximum(jaw, moustache) * .45 * grain,
             'beard': np.maximum(jaw, moustache) * .85 * grain,
             'goatee': np.maximum(np.maximum(moustache, chin) * .8 * grain, shaved_shadow),
             'moustache': np.maximum(moustache * .8 * grain, shaved_shadow)}[kind]
    return blend(tone, colours.hair * .85 + tone * .12, cover)


def eye_region(tone: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Shade of the sockets and the line of the lids."""
    mesh = base_mesh()
    ball = mesh.vertices[mesh.vertices_of('helper-l-eye')].mean(0)
    reach = np.minimum(*[np.linalg.norm(places - ball * [side, 1, 1], axis=1) for side in (-1, 1)]) / .14
    upper = places[:, 1] > 7.275
    tone = blend(tone, tone * .78, step(2.1, 1.2, reach) * np.where(upper, .45, .35))
    return blend(tone, tone * .25 + .02, step(1.22, 1.10, reach) * np.where(upper, .9, .35))


def mouth(tone: np.ndarray, places: np.ndarray, colours: Colours) -> np.ndarray:
    """Lips, and the dark inside of the mouth."""
    x, y, z = places.T
    tone = blend(tone, colours.lips, atlas_mask('lips') * .8)
    return blend(tone, np.array([.34, .10, .09]) * step(.7, 1.5, z)[:, None], atlas_mask('inside-mouth'))


def brows(tone: np.ndarray, places: np.ndarray, person: Identity, colours: Colours,
          random: np.random.Generator) -> np.ndarray:
    """Eyebrows of slanted hairs along an arch."""
    male = person.sex == 'male'
    weight = random.uniform(.7, 1.05) * (1.1 if male else .75)
    arch, height = random.uniform(.02, .05) + (0 if male else .01), 7.465 + random.uniform(-.01, .015)
    x, y, z = places.T
    along = (np.abs(x) - .125) / .415
    middle = height + np.interp(along, [0, .3, .65, 1], [.5, .8, 1, -.1]) * arch
    thick = np.interp(along, [0, .12, .6, 1], [.016, .030, .026, .006]) * weight
    across = (y - middle) / thick
    hairs = step(-.6, .6, noise(random, along * 72 - across * 1.8 + 90 * (x > 0), across * .9))
    cover = step(1.3, .4, np.abs(across)) * step(-.06, .12, along) * step(1.05, .85, along) * (z > 1.)
    return blend(tone, colours.hair * .85 + tone * .1, cover * (.45 + .35 * hairs))


def garment(colours: Colours, random: np.random.Generator) -> Part:
    """A pullover, plain or striped, or an open jacket over a shirt: the bust pushed outwards and cut at the neck."""
    mesh, bust = base_mesh(), bust_faces()
    kind = random.choice(['plain', 'striped', 'jacket'], p=[.5, .2, .3])
    collar, depth = random.uniform(5.34, 5.50), random.uniform(.25, .55)
    second = colours.cloth * .35 + .6 * random.uniform(.6, 1)

    def paint(places: np.ndarray) -> np.ndarray:
        x, y, z = places.T
        below = collar + depth * (.5 - z) + .45 * np.abs(x) - y  # a slanting plane, higher at the sides
        weave = 1 + .05 * noise(random, x * 60, y * 60) + .06 * noise(random, x * 4, y * 4)
        tone = colours.cloth * np.ones((len(x), 1))
        if kind == 'striped':
            tone = blend(tone, second, step(-.1, .1, np.sin(y * 28)))
        band = step(.11, .09, below)
        if kind == 'jacket':
            lapel = np.abs(x) - .28 - .55 * step(4.4, 5.6, y)
            tone = blend(tone, second, step(.01, -.01, lapel) * step(-.2, .2, z))
            tone = blend(tone, tone * .7, np.exp(-(lapel / .02) ** 2) * step(-.2, .2, z))
        tone = tone * (weave * (1 - .25 * band))[:, None]
        return np.concatenate([tone, step(0, .015, below)[:, None]], 1)

    chosen = bust[mesh.vertices[mesh.faces[bust]][:, :, 1].min(1) < 6.4]
    lift = np.full((len(mesh.vertices), 1), GARMENT_LIFT, np.float32)
    return Part(mesh.faces[chosen], mesh.uvs, mesh.uv_faces[chosen], atlas_picture(paint), lift=lift)
