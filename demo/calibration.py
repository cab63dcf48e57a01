"""The calibration set: one speaker per seed in poses that are known and varied one thing at a time.

Talking heads move everything at once and little of it far.  Here single face units are swept from rest to full, the
gaze goes over a grid, the head turns about one axis at a time, mixtures come as they may, and a still head shows what
noise alone does.  `disturb` spoils a picture in a named way and strength, `faceless` shows no face at all, and
`side_by_side` two.  The truth is that of `demo.head.Frame`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from demo.head import Frame, Head, paint_background
from demo.mesh import base_name, unit_names
from pipeline.sources.media import ffmpeg_path

CALIBRATION_SEEDS = range(300_000, 300_072)  # speakers on whom constants of `features` were calibrated
EVALUATION_SEED = 500_000  # the first of those who only judge them; 400,000 on served while the code was written
AMPLITUDES = np.linspace(0, 1, 6)
GAZE_YAW, GAZE_PITCH = np.radians([-25, -15, 0, 15, 25]), np.radians([-18, -9, 0, 9, 18])
LARGEST = {"yaw": 45, "pitch": 25, "roll": 25}  # degrees of the head sweeps
AXES = {"yaw": 0, "pitch": 1, "roll": 2}  # place in the pose (yaw, pitch, roll) of `Head.frame`
STILL_FRAMES = 30
HAND = np.array([0.80, 0.62, 0.52])  # tone of the block that hides a part of the face


@dataclass(frozen=True)
class Shot:
    """One picture to take: what `demo.head.Head.frame` needs, and the part of the set that it belongs to.

    driven : name of the face unit, without side, that is swept; '' outside the sweeps
    """

    part: str
    units: dict[str, float] = field(default_factory=dict)
    pose: tuple[float, float, float] = (0, 0, 0)
    gaze: tuple[float, float] = (0, 0)
    offset: tuple[float, float, float] = (0, 0, 0)
    driven: str = ""

    def of(self, head: Head, index: int, drawn: bool = True) -> Frame:
        """Take the picture; `index` numbers the camera noise."""
        return head.frame(self.units, self.pose, self.gaze, self.offset, index, drawn=drawn)


def base_names() -> list[str]:
    """Names of the face units without their sides, in alphabetical order; the gaze has a part of its own."""
    return sorted(name for name in {base_name(name) for name in unit_names()} if not name.startswith("eyeLook"))


def both_sides(amplitudes: dict[str, float]) -> dict[str, float]:
    """Amplitudes of the 52 units from those of names without side."""
    return {name: amplitudes[base_name(name)] for name in unit_names() if base_name(name) in amplitudes}


def shots(seed: int, mixtures: int = 150) -> list[Shot]:
    """All pictures of one speaker, in order: face units, gaze grid, head sweeps, mixtures, still head."""
    random = np.random.default_rng([seed, 7])
    result = [
        Shot("units", both_sides({name: float(amplitude)}), driven=name) for name in base_names() for amplitude in AMPLITUDES
    ]
    result += [Shot("gaze", gaze=(float(yaw), float(pitch))) for yaw in GAZE_YAW for pitch in GAZE_PITCH]
    for axis, largest in LARGEST.items():
        for angle in np.radians(np.linspace(-largest, largest, 15)):
            pose = [0.0, 0.0, 0.0]
            pose[AXES[axis]] = float(angle)
            result.append(Shot("pose", pose=tuple(pose)))
    for _ in range(mixtures):
        chosen = random.choice(base_names(), random.integers(0, 5), replace=False)
        result.append(
            Shot(
                "mixture",
                both_sides({name: float(random.beta(1.2, 1.8)) for name in chosen}),
                tuple(random.uniform(-1, 1, 3) * np.radians([30, 20, 20])),
                tuple(random.uniform(-1, 1, 2) * np.radians([20, 15])),
                tuple(random.uniform(-1, 1, 3) * [50, 25, 60]),
            )
        )
    return result + [Shot("still")] * STILL_FRAMES


def take(head: Head, taken: list[Shot]) -> Iterator[Frame]:
    """The pictures of a head with their truth, one after the other."""
    for index, shot in enumerate(taken):
        yield shot.of(head, index)


# ---------------------------------------------------------------- without a face
def faceless(seed: int, count: int = 5, width: int = 320, height: int = 240) -> dict[str, np.ndarray]:
    """Pictures that show no face, `count` of each kind: uint8 [count, height, width, 3] by the name of the kind."""
    random = np.random.default_rng([seed, 9])
    rooms = np.array([paint_background(random, width, height) for _ in range(count)]) * 255
    white_noise = random.uniform(0, 255, (count, height, width, 3))
    texture = []
    for _ in range(count):
        coarse = random.uniform(0, 1, (random.integers(4, 40), random.integers(4, 40), 3)) * HAND
        texture.append(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * 255)
    blocks, heads = rooms.copy(), rooms.copy()
    for room, picture in zip(blocks, heads, strict=True):
        for _ in range(4):
            corner = np.int32(random.uniform(0, 0.8, 2) * [width, height])
            opposite = corner + np.int32(random.uniform(0.1, 0.5, 2) * height)
            cv2.rectangle(room, corner.tolist(), opposite.tolist(), (HAND * 255).tolist(), -1)
        centre = np.int32(random.uniform(0.35, 0.65, 2) * [width, height])
        cv2.ellipse(picture, centre.tolist(), (height // 5, height // 4), 0, 0, 360, (HAND * 255).tolist(), -1)
    kinds = {"empty room": rooms, "noise": white_noise, "texture": texture, "skin blocks": blocks, "skin oval": heads}
    return {kind: np.uint8(np.clip(pictures, 0, 255)) for kind, pictures in kinds.items()}


# ---------------------------------------------------------------- disturbances
def light(image: np.ndarray, gain: float) -> np.ndarray:
    """The picture under `gain` times the light (linear), with the noise of the sensor where it is dark."""
    linear = (image / 255.0) ** 2.2 * gain
    noise = np.random.default_rng([8, image.size]).normal(0, 0.004, image.shape)
    return np.uint8(np.clip(np.clip(linear + noise, 0, 1) ** (1 / 2.2) * 255 + 0.5, 0, 255))


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Out of focus: a Gaussian of `sigma` pixels."""
    return cv2.GaussianBlur(image, (0, 0), sigma)


def compress(image: np.ndarray, quality: float) -> np.ndarray:
    """As H.264 leaves a single frame at constant rate factor `quality` (23 is usual, 51 the worst)."""
    height, width = image.shape[:2]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    coding = ["-c:v", "libx264", "-preset", "veryfast", "-crf", str(round(quality)), "-pix_fmt", "yuv420p", "-threads", "1"]
    base = [ffmpeg_path(), "-nostdin", "-loglevel", "error"]
    coded = subprocess.run(
        [*base, *raw, "-i", "pipe:0", *coding, "-f", "h264", "pipe:1"], input=image.tobytes(), stdout=-1, check=True
    )
    decoded = subprocess.run(
        [*base, "-f", "h264", "-i", "pipe:0", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"],
        input=coded.stdout,
        stdout=-1,
        check=True,
    )
    return np.frombuffer(decoded.stdout, np.uint8).reshape(image.shape)


def hide(image: np.ndarray, landmarks: np.ndarray, size: float, place: int) -> np.ndarray:
    """A block of skin colour, `size` times the distance of the outer eye corners, over a part of the face.

    place : number of the landmark, of 68, in its middle: 8 chin, 31 nose, 36 eye, 48 corner of the mouth
    """
    side = size * np.linalg.norm(landmarks[45] - landmarks[36])
    (left, top), (right, bottom) = landmarks[place] - side / 2, landmarks[place] + side / 2
    result = image.copy()
    result[max(round(top), 0) : max(round(bottom), 0), max(round(left), 0) : max(round(right), 0)] = HAND * 255
    return result


def shrink_face(image: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """The scene from `1 / factor` times as far; the rest of the picture repeats its border.

    Returns
    -------
    (np.ndarray [shape=(h, w, 3)], np.ndarray [shape=(2, 3)])
        The picture, and the transform of its points.
    """
    height, width = image.shape[:2]
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    padded = cv2.copyMakeBorder(
        small, top, height - small.shape[0] - top, left, width - small.shape[1] - left, cv2.BORDER_REPLICATE
    )
    return padded, np.array([[factor, 0, left], [0, factor, top]])


def side_by_side(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two people in one picture: the middle halves of two pictures of one size beside each other."""
    quarter = first.shape[1] // 4
    half = first.shape[1] - 2 * quarter
    return np.concatenate([first[:, quarter : quarter + half], second[:, quarter : quarter + half]], 1)


# name -> (strengths from mild to harsh, the disturbed picture and the transform of its points)
UNMOVED = np.array([[1.0, 0, 0], [0, 1, 0]])
Disturbed = tuple[np.ndarray, np.ndarray]
DISTURBANCES: dict[str, tuple[tuple[float, ...], Callable[[Frame, float], Disturbed]]] = {
    "dark (light x)": ((0.3, 0.1, 0.03, 0.01), lambda frame, gain: (light(frame.image, gain), UNMOVED)),
    "blown (light x)": ((1.5, 2.5, 4.0, 8.0), lambda frame, gain: (light(frame.image, gain), UNMOVED)),
    "blur (sigma, pixels)": ((1.0, 2.0, 3.0, 5.0), lambda frame, sigma: (blur(frame.image, sigma), UNMOVED)),
    "compression (CRF)": ((28, 35, 42, 48), lambda frame, quality: (compress(frame.image, quality), UNMOVED)),
    "hidden mouth (eye distances)": (
        (0.5, 0.8, 1.1),
        lambda frame, size: (hide(frame.image, frame.landmarks_2d, size, 48), UNMOVED),
    ),
    "hidden eye (eye distances)": (
        (0.5, 0.8, 1.1),
        lambda frame, size: (hide(frame.image, frame.landmarks_2d, size, 36), UNMOVED),
    ),
    "small face (scale)": ((0.75, 0.53, 0.35), lambda frame, factor: shrink_face(frame.image, factor)),
}


def disturb(frame: Frame, name: str, strength: float) -> Disturbed:
    """A picture of the set, spoilt in one of the `DISTURBANCES`, and the transform [2, 3] of its points.

    Raises
    ------
    KeyError
        If there is no disturbance of this name.
    """
    return DISTURBANCES[name][1](frame, strength)
