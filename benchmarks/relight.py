"""Photographs of people under another lamp, and with glasses that they do not wear: what changes in them is no expression.

A lamp shades the face as a matt surface with some gloss (Lambert 1760, Blinn 1977), the surface being that of the average
face where the mesh finds it; what the photograph is lit by stays.  Glasses are drawn as opticians make them: a rim of any
shape, tone and breadth around each eye, a bridge, the sidepieces, and lamps mirrored in the lenses.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from features.face_units import PIXELS, RESOLUTION, TOP, UprightFace
from features.mesh import OUTER_EYE_CORNERS

BEYOND = 60  # pixels of the upright picture around the face that are lit as its border is
SMOOTH = 1.5  # pixels over which the relief is smoothed: the mesh has edges
GAMMAS = (1.4, 2.2)  # of the camera
EYES = ((33, 133), (263, 362))  # outer and inner corner in the mesh
EARS = (127, 356)


@dataclass(frozen=True)
class Lamp:
    """A lamp in a dim room.

    direction : np.ndarray [shape=(3,)], unit vector to it, x to the right of the image, y down, z away from the camera
    ambient : float, light from everywhere, 0-1
    strength : float, of the lamp
    gloss, sharpness : float, of its mirror image on the skin
    exposure, gamma : float, of the camera
    """

    direction: np.ndarray
    ambient: float
    strength: float
    gloss: float
    sharpness: float
    exposure: float
    gamma: float

    @classmethod
    def drawn(cls, random: np.random.Generator) -> "Lamp":
        """A lamp at random: anywhere before the face, every third one near the camera."""
        azimuth, height = (random.uniform(-90, 90), random.uniform(-30, 60))
        if random.random() < 0.3:
            azimuth, height = random.uniform(-12, 12), random.uniform(-10, 20)
        azimuth, height = np.radians([azimuth, height])
        direction = np.array([np.sin(azimuth) * np.cos(height), -np.sin(height), -np.cos(azimuth) * np.cos(height)])
        gloss = random.uniform(0.1, 0.5) if random.random() < 0.3 else 0.0
        return cls(
            direction,
            random.uniform(0.03, 0.5),
            random.uniform(1.0, 1.6),
            gloss,
            random.uniform(8, 30),
            random.uniform(0.7, 1.4),
            random.uniform(*GAMMAS),
        )

    def shading(self, upright: UprightFace) -> np.ndarray:
        """How much light each place of the upright face gets and sends to the camera [shape=(84, 72)]."""
        depth = cv2.GaussianBlur(upright.surface[:, 2].reshape(PIXELS).astype(np.float32), (0, 0), SMOOTH)
        down, across = np.gradient(depth, 1 / RESOLUTION)
        normals = np.dstack([across, down, -np.ones(PIXELS)])
        normals /= np.linalg.norm(normals, axis=2, keepdims=True)
        halfway = self.direction + [0, 0, -1]
        halfway /= np.linalg.norm(halfway)
        light = self.ambient + (1 - self.ambient) * self.strength * np.clip(normals @ self.direction, 0, None)
        return (light + self.gloss * np.clip(normals @ halfway, 0, None) ** self.sharpness).astype(np.float32)


def relit(frame: np.ndarray, points: np.ndarray, lamp: Lamp, upright: UprightFace) -> np.ndarray:
    """A photograph [shape=(h, w, 3), uint8, RGB] with a further lamp; points are the mesh [shape=(478, 3)] of its face."""
    plane = upright.face[:468, :2] * RESOLUTION + [PIXELS[1] / 2, -TOP * RESOLUTION]
    to_frame = np.linalg.lstsq(np.column_stack([plane, np.ones(len(plane))]), points[:468, :2], rcond=None)[0].T
    to_frame[:, 2] -= to_frame[:, :2] @ [BEYOND, BEYOND]
    shading = cv2.copyMakeBorder(lamp.shading(upright), BEYOND, BEYOND, BEYOND, BEYOND, cv2.BORDER_REPLICATE)
    size = frame.shape[1::-1]
    light = cv2.warpAffine(shading, to_frame, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    light = cv2.GaussianBlur(light, (0, 0), np.sqrt(abs(np.linalg.det(to_frame[:, :2]))))  # the plane's pixels do not show
    lit = (frame.astype(np.float32) / 255) ** lamp.gamma * light[:, :, None] * lamp.exposure
    return np.round(255 * np.clip(lit, 0, 1) ** (1 / lamp.gamma)).astype(np.uint8)


def with_glasses(frame: np.ndarray, points: np.ndarray, random: np.random.Generator, upright: UprightFace) -> np.ndarray:
    """A photograph [shape=(h, w, 3), uint8, RGB] with glasses at random before the eyes of a mesh [shape=(478, 3)]."""
    flat = points[:, :2]
    apart = flat[OUTER_EYE_CORNERS[1]] - flat[OUTER_EYE_CORNERS[0]]
    side = np.linalg.norm(apart)
    across = apart / side
    down = np.array([-across[1], across[0]])
    facing = np.sqrt(max(1 - upright.pose(points)[1][0, 2] ** 2, 0.3))  # a turned face shows its breadth in part
    width, height, low = random.uniform(0.27, 0.36) * facing, random.uniform(0.19, 0.30), random.uniform(0, 0.08)
    breadth, roundness = random.uniform(0.01, 0.05), random.uniform(2, 6)
    tone = random.uniform(0, 90, 3) if random.random() < 0.8 else random.uniform(120, 200, 3)
    turn = np.linspace(0, 2 * np.pi, 60)
    x, y = (np.sign(axis) * np.abs(axis) ** (2 / roundness) for axis in (np.cos(turn), np.sin(turn)))
    rims = []
    for outer, inner in EYES:
        middle = (flat[outer] + flat[inner]) / 2 + side * low * down + 0.06 * (flat[outer] - flat[inner])
        rims.append(middle + side * (width * x[:, None] * across + height * y[:, None] * down))
    frame_of_glasses = np.zeros(frame.shape[:2], np.uint8)
    thick = max(1, round(breadth * side))
    for rim in rims:
        cv2.polylines(frame_of_glasses, [_fixed(rim)], True, 255, thick, cv2.LINE_AA, 4)
    bridge = [rims[0][np.argmax(rims[0] @ across)], rims[1][np.argmin(rims[1] @ across)]]
    cv2.line(frame_of_glasses, *map(_whole, np.array(bridge) - 0.05 * side * down), 255, thick, cv2.LINE_AA)
    for rim, ear in zip(rims, EARS, strict=True):
        nearest = rim[np.argmin(np.linalg.norm(rim - flat[ear], axis=1))]
        cv2.line(frame_of_glasses, _whole(nearest), _whole(flat[ear]), 255, max(1, round(0.7 * thick)), cv2.LINE_AA)
    result = frame.astype(np.float32)
    if random.random() < 0.5:
        result = mirrored_lamp(result, rims, side, random)
    opaque = random.uniform(0.7, 1) * frame_of_glasses[:, :, None].astype(np.float32) / 255
    return np.round(result * (1 - opaque) + tone * opaque).clip(0, 255).astype(np.uint8)


def mirrored_lamp(frame: np.ndarray, rims: list[np.ndarray], side: float, random: np.random.Generator) -> np.ndarray:
    """A frame [shape=(h, w, 3), float32] with a lamp mirrored in one of two lenses, which are a little dark."""
    lenses, spot = np.zeros((2, *frame.shape[:2]), np.uint8)
    for rim in rims:
        cv2.fillPoly(lenses, [_fixed(rim)], 255, cv2.LINE_AA, 4)
    place = rims[random.integers(2)].mean(0) + random.normal(0, 0.08, 2) * side
    size = (random.uniform(0.05, 0.25) * side, random.uniform(0.03, 0.12) * side)
    cv2.ellipse(spot, (place.tolist(), size, random.uniform(0, 180)), 255, -1, cv2.LINE_AA)
    bright = random.uniform(0.2, 0.7) * np.minimum(lenses, spot)[:, :, None].astype(np.float32) / 255
    dark = random.uniform(0, 0.15) * lenses[:, :, None].astype(np.float32) / 255
    return (frame * (1 - bright) + 255 * bright) * (1 - dark)


def _fixed(points: np.ndarray) -> np.ndarray:
    """Points in sixteenths of a pixel, as OpenCV draws them."""
    return np.round(16 * points).astype(np.int32)


def _whole(point: np.ndarray) -> list[int]:
    return np.round(point).astype(int).tolist()
