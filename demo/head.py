"""A talking head: the picture of a speaker for given face units, head pose and gaze, with its ground truth.

Camera axes everywhere: x right, y down, z away from the camera, millimetres; rotations as in `demo.pose`.
The head's own axes are the same with the origin at the centroid of the 68 landmarks of the neutral face, so that
points = rotation @ points of the head + translation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.eyes_teeth import eyes, lashes, rims, teeth, tongue
from demo.hair import cap, choose_style, hanging_shell
from demo.identity import identity
from demo.mesh import EYELIDS, LANDMARKS, base_mesh, face_units, to_camera_axes, unit_names
from demo.paint import choose_colours, noise, step
from demo.pose import euler_to_rotation
from demo.raster import Part, draw, shrink, vertex_normals
from demo.skin import garment, skin

DISTANCE = 560.0  # millimetres from the camera to the neutral face, as before a computer
FOCAL_LENGTH = 1.65  # times the picture's height: the head fills about 70 % of it
STAND = np.array([0, 12, DISTANCE], np.float32)  # where the neutral face is: a little low, to leave room for the hair
NECK = np.array([0, 45, 125], np.float32)  # the point about which the head turns, in the head's own axes
LID_TURN = 0.45  # gaze angle, radians, that moves the lids by one unit
GRAIN = 0.012  # standard deviation of the camera noise, of 1


@dataclass(frozen=True)
class Frame:
    """A picture and what is true of it; camera axes, millimetres (see the module).

    image : uint8 [H, W, 3], RGB
    landmarks_2d : float32 [68, 2], pixels; landmarks_3d : float32 [68, 3]
    rotation : float32 [3, 3]; translation : float32 [3]; of the head, identity = it looks into the camera
    head_pose : (Rx, Ry, Rz), radians, OpenFace's convention (`demo.pose`)
    gaze : float32 [2, 3], unit vectors; eye_centres : float32 [2, 3]; eye 0 is the left one in the image
    units : float32 [52], amplitudes of the face units as drawn, in the order of `Head.units`
    eye_landmarks : float32 [2, 28, 3], of each eye 0-7 rim of the iris, 8-19 lids, 20-27 rim of the pupil; rims from the
        left of the image over the top, lids from the image-left corner over the upper lid
    eye_landmarks_2d : float32 [2, 28, 2], pixels
    """

    image: np.ndarray
    landmarks_2d: np.ndarray
    landmarks_3d: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    head_pose: tuple[float, float, float]
    gaze: np.ndarray
    eye_centres: np.ndarray
    units: np.ndarray
    eye_landmarks: np.ndarray
    eye_landmarks_2d: np.ndarray


class Head:
    """One speaker before a camera.

    Parameters
    ----------
    seed : decides everything about the speaker, the light and the background
    width, height : size of the pictures, pixels
    supersample : the picture is drawn this many times larger and averaged
    sex : 'male' or 'female', age : 18-75 years; drawn from the seed if not given

    Attributes
    ----------
    sex, age : of the speaker; units : names of the 52 face units; camera : (fx, fy, cx, cy) in pixels of the picture
    """

    def __init__(
        self,
        seed: int,
        width: int = 320,
        height: int = 240,
        supersample: int = 2,
        sex: str | None = None,
        age: float | None = None,
    ):
        self.seed, self.width, self.height, self.supersample = seed, width, height, supersample
        self.camera = (FOCAL_LENGTH * height, FOCAL_LENGTH * height, width / 2, height / 2)
        self.units = unit_names()
        person = identity(seed, sex, age)
        self.sex, self.age = person.sex, person.age
        random = np.random.default_rng([seed, 2])
        colours, style = choose_colours(person, random), choose_style(person, random)
        self.light, self.ambient = choose_light(random)
        self.background = paint_background(random, width, height).repeat(supersample, 0).repeat(supersample, 1)
        parts = [
            skin(person, colours, style, random),
            *eyes(colours, random),
            *teeth(),
            tongue(),
            garment(colours, random),
            *lashes(person, random),
            cap(colours, style, random),
        ]
        hair_vertices = np.zeros((0, 3), np.float32)
        if style.hang is not None:
            hair_vertices, hair = hanging_shell(person, colours, style, random)
            hair.faces = hair.faces + len(person.vertices)
            parts.append(hair)
        self._assemble(person.vertices, hair_vertices, parts)

    def _assemble(self, vertices: np.ndarray, hair_vertices: np.ndarray, parts: list[Part]) -> None:
        """Keep the vertices that are drawn, put them into the head's axes and gather the face units."""
        mesh = base_mesh()
        used = np.unique(np.concatenate([part.faces.ravel() for part in parts]))
        index = np.full(len(vertices) + len(hair_vertices), -1)
        index[used] = np.arange(len(used))
        shape = to_camera_axes(np.concatenate([vertices, hair_vertices]))
        origin = shape[LANDMARKS].mean(0)
        self._vertices = np.ascontiguousarray((shape - origin)[used])
        places = np.concatenate([mesh.vertices, hair_vertices])[used]
        self._follow = follow_head(places, used < len(vertices))
        on_mesh = used[used < len(vertices)]
        basis = np.zeros((len(self.units), len(used), 3), np.float32)
        for row, offsets in zip(basis, face_units().values(), strict=True):
            row[: len(on_mesh)] = to_camera_axes(offsets[on_mesh])
        self._landmarks = index[LANDMARKS]
        self._eyeballs = [index[mesh.vertices_of(f"helper-{side}-eye")] for side in "rl"]  # left in the image first
        self._lids = index[EYELIDS]
        self._rims = [(index[corners], weights) for corners, weights in (rims(f"helper-{side}-eye") for side in "rl")]
        basis[:, np.concatenate(self._eyeballs)] = 0  # eyeballs turn by the gaze alone
        self._basis = basis
        for part in parts:
            part.faces = index[part.faces].astype(np.int32)
            part.uv_faces = part.uv_faces.astype(np.int32)
            if part.lift is not None:
                lift = np.zeros((len(used), 1), np.float32)
                lift[: len(on_mesh)] = part.lift[on_mesh]
                part.lift = lift
        self.parts = parts
        self._surface = np.concatenate([part.faces for part in parts if part.lift is None])
        # teeth and tongue a little smaller and further back, to stay behind closed lips
        for group, drop in (("helper-lower-teeth", 2), ("helper-upper-teeth", 7), ("helper-tongue", 5)):
            rows = index[mesh.vertices_of(group)]
            centre = self._vertices[rows].mean(0)
            self._vertices[rows] = centre + (self._vertices[rows] - centre) * np.float32([0.78, 0.9, 0.88]) + [0, drop, 5]

    def frame(
        self,
        units: dict[str, float] | None = None,
        pose: tuple[float, float, float] = (0, 0, 0),
        gaze: tuple[float, float] = (0, 0),
        offset: tuple[float, float, float] = (0, 0, 0),
        index: int = 0,
        grain: float = GRAIN,
        drawn: bool = True,
    ) -> Frame:
        """Draw one picture.

        Parameters
        ----------
        units : amplitudes by name, 0..1; units that are not named are 0
        pose : (yaw, pitch, roll) of the head, radians, signs as in `demo.pose`: (Ry, Rx, Rz) of OpenFace
        gaze : (yaw, pitch) of both eyes in the head, radians, the same signs; (0, 0) looks where the face looks. The
            lids follow; `gaze=(-yaw, -pitch)` of the pose looks about into the camera
        offset : millimetres by which the head and shoulders are moved, camera axes
        index : number of the frame; it and the seed decide the camera noise
        grain : standard deviation of the camera noise, of 1
        drawn : False for the truth alone, in a hundredth of the time; the image is then empty [0, 0, 3]

        Raises
        ------
        KeyError
            If a unit has an unknown name.
        """
        amplitudes = self._amplitudes(units or {}, gaze)
        vertices = self._vertices.copy()
        for unit in np.flatnonzero(amplitudes):  # one by one: the same sum whatever the number of threads
            vertices += amplitudes[unit] * self._basis[unit]
        turn = euler_to_rotation(gaze[1], gaze[0], 0).astype(np.float32)
        centres = np.empty((2, 3), np.float32)
        for centre, ball in zip(centres, self._eyeballs, strict=True):
            centre[:] = (vertices[ball].min(0) + vertices[ball].max(0)) / 2
            vertices[ball] = (vertices[ball] - centre) @ turn.T + centre
        head_pose = (float(pose[1]), float(pose[0]), float(pose[2]))
        rotation = euler_to_rotation(*head_pose).astype(np.float32)
        stand = STAND + np.array(offset, np.float32)
        translation = NECK - rotation @ NECK + stand
        points = vertices + stand
        points += self._follow * (vertices @ rotation.T + translation - points)
        landmarks, eye_landmarks = points[self._landmarks], self._eye_landmarks(points)
        return Frame(
            self._picture(points, index, grain) if drawn else np.zeros((0, 0, 3), np.uint8),
            self.project(landmarks),
            landmarks,
            rotation,
            translation,
            head_pose,
            np.tile(rotation @ turn @ np.float32([0, 0, -1]), (2, 1)),
            centres @ rotation.T + translation,
            amplitudes,
            eye_landmarks,
            self.project(eye_landmarks.reshape(-1, 3)).reshape(2, 28, 2),
        )

    def _eye_landmarks(self, points: np.ndarray) -> np.ndarray:
        """The eye landmarks [2, 28, 3] of all vertices in camera axes."""
        edges = [np.einsum("nkd,nk->nd", points[corners], weights) for corners, weights in self._rims]  # iris, pupil
        return np.stack([[*rim[:8], *points[lid], *rim[8:]] for rim, lid in zip(edges, self._lids, strict=True)])

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels [n, 2] of points [n, 3] in camera axes; (0, 0) is the outer corner of the first pixel."""
        fx, fy, cx, cy = self.camera
        return np.stack([fx * points[:, 0] / points[:, 2] + cx, fy * points[:, 1] / points[:, 2] + cy], 1)

    def _amplitudes(self, units: dict[str, float], gaze: tuple[float, float]) -> np.ndarray:
        """Amplitudes [52] in the order of `units`, with the lids following the gaze as far as they are open."""
        unknown = set(units) - set(self.units)
        if unknown:
            raise KeyError(f"head {self.seed}: unknown face units {sorted(unknown)}")
        amounts = dict.fromkeys(self.units, 0.0) | units
        yaw, pitch = gaze[0] / LID_TURN, gaze[1] / LID_TURN
        for side, inwards in (("Left", 1), ("Right", -1)):  # positive yaw looks to the left of the image
            is_open = 1 - amounts[f"eyeBlink{side}"]
            for name, amount in (("Down", pitch), ("Up", -pitch), ("In", inwards * yaw), ("Out", -inwards * yaw)):
                amounts[f"eyeLook{name}{side}"] += is_open * min(max(amount, 0), 1)
        return np.array([amounts[name] for name in self.units], np.float32)

    def _picture(self, points: np.ndarray, index: int, grain: float) -> np.ndarray:
        """The picture, uint8 [H, W, 3], of all vertices in camera axes."""
        normals = vertex_normals(points, self._surface)
        image, depth = self.background.copy(), np.full(self.background.shape[:2], np.inf, np.float32)
        camera = tuple(value * self.supersample for value in self.camera)
        for part in self.parts:
            lifted = points if part.lift is None else points + part.lift * normals
            draw(
                lifted,
                normals,
                part.faces,
                part.uvs,
                part.uv_faces,
                part.texture,
                camera,
                self.light,
                self.ambient,
                part.wrap,
                part.gloss,
                part.both_sides,
                part.bias,
                image,
                depth,
            )
        random = np.random.default_rng([self.seed, 3, index])
        noise_values = random.standard_normal((self.height, self.width, 3), np.float32) * np.float32(grain)
        return shrink(image, self.supersample, noise_values)


def follow_head(places: np.ndarray, on_mesh: np.ndarray) -> np.ndarray:
    """How far vertices at places [n, 3] of the base mesh follow the head's pose [n, 1]: 0 chest, 1 head.

    The bound slants, for the chin is as low as the middle of the neck; hanging hair (not `on_mesh`) follows less.
    """
    slant = places[:, 1] + 0.4 * places[:, 2]
    return np.where(on_mesh, step(5.45, 6.55, slant), step(4.8, 6.9, places[:, 1])).astype(np.float32)[:, None]


def choose_light(random: np.random.Generator) -> tuple[np.ndarray, float]:
    """Unit vector [3] towards the key light, and the share of ambient light."""
    light = np.array([random.uniform(-0.6, 0.6), -random.uniform(0.15, 0.6), -1.0])
    return light / np.linalg.norm(light), float(random.uniform(0.44, 0.6))


def paint_background(random: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A blurred room: float32 [height, width, 3], a slanting gradient with a few soft panels."""
    y, x = np.mgrid[0:height, 0:width] / width
    first, second = (0.6 * random.uniform(0.2, 0.8) + 0.4 * random.uniform(0.1, 0.8, 3) for _ in range(2))
    mix = step(0, 1, x * random.uniform(0.3, 1.2) + y * random.uniform(0.3, 1.2))
    picture = first + (second - first) * mix[..., None]
    for _ in range(4):
        left, top = random.uniform(0, 1), random.uniform(0, 0.6)
        wide, tall = random.uniform(0.05, 0.3), random.uniform(0.05, 0.4)
        cover = step(-0.03, 0.03, wide / 2 - np.abs(x - left)) * step(-0.03, 0.03, tall / 2 - np.abs(y - top))
        tone = picture.mean() * 0.5 + 0.5 * random.uniform(0.1, 0.9, 3)
        picture = picture + (tone - picture) * 0.4 * cover[..., None]
    picture = picture + 0.01 * noise(random, x * 40, y * 40)[..., None]
    return picture.astype(np.float32)
