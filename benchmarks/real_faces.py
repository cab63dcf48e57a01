"""The 68 points on photographs of people, beside those that hands set.

    python -m benchmarks.real_faces FOLDER [--half 1]

The folder (and folders in it) holds photographs with their points: `<name>.pts` beside `<name>.jpg` (or .png), as of 300-W,
or dlib's XML that names photographs and the 68 parts of each face.  Prints distances in percent of that of the outer corners
of the eyes as hands set them, by the size of the face and by its yaw (as measured).  `--half 1` takes the photographs on which
`benchmarks.landmarks_fit` was not fitted.  Where such sets are had: benchmarks/README.md.
"""

import argparse
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from benchmarks.accuracy_dlib import GROUPS
from benchmarks.accuracy_report import markdown_table
from benchmarks.accuracy_speakers import single_threaded_models
from features.landmarks import EYE_CORNERS_68, landmarks_68, shape_points
from features.pose import euler_angles
from features.shape_model import load_shape_model
from features.track import overlap
from features.vision import VisionModels

PHOTOGRAPHS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
SMALL = 30  # pixels between the outer corners of the eyes; smaller faces are judged apart
YAWS = ((0, 15), (15, 30), (30, 90))  # degrees
LEAST_OVERLAP = 0.3  # of a detected face with the box of the points


@dataclass(frozen=True)
class HandSet:
    """A face on a photograph, and its points [shape=(68, 2)], pixels, (0, 0) the outer corner of the first pixel."""

    path: Path
    points: np.ndarray

    @property
    def between_eyes(self) -> float:
        """Pixels between the outer corners of the eyes."""
        return float(np.linalg.norm(self.points[EYE_CORNERS_68[1][1]] - self.points[EYE_CORNERS_68[0][0]]))

    @property
    def half(self) -> int:
        """0 or 1, that of the photograph."""
        return half_of(self.path)


def half_of(path: Path) -> int:
    """0 or 1, by a photograph's name without the number of the face: faces of one photograph are in one half."""
    return sha256(re.sub(r"_\d{1,2}$", "", path.stem).encode()).digest()[0] % 2


def picture_of(path: Path) -> np.ndarray:
    """The picture of a file [shape=(h, w, 3), uint8, RGB].

    Raises
    ------
    ValueError
        If it cannot be read.
    """
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{path}: not a picture that OpenCV can read")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def hand_set_faces(folder: Path, half: int | None = None) -> list[HandSet]:
    """All faces of a folder that have 68 points; of one half if it is given.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    faces = [face for path in sorted(folder.rglob("*.pts")) for face in read_pts(path)]
    faces += [face for path in sorted(folder.rglob("*.xml")) for face in read_dlib(path)]
    if not faces:
        raise FileNotFoundError(f"{folder}: no photograph with 68 points in a .pts or dlib XML file")
    return [face for face in faces if half is None or face.half == half]


def read_pts(path: Path) -> Iterator[HandSet]:
    """The face of a .pts file, whose pixels count from 1 in their middle; nothing without photograph or 68 points."""
    photographs = [path.with_suffix(suffix) for suffix in PHOTOGRAPHS if path.with_suffix(suffix).is_file()]
    text = path.read_text(encoding="utf-8")
    points = np.array(text[text.find("{") + 1 :].partition("}")[0].split(), float).reshape(-1, 2)  # braces may be missing
    if photographs and len(points) == 68:
        yield HandSet(photographs[0], points - 0.5)


def read_dlib(path: Path) -> Iterator[HandSet]:
    """The faces of 68 parts in dlib's XML, whose pixels count from 0 in their middle."""
    for photograph in ElementTree.parse(path).iter("image"):
        for box in photograph.iter("box"):
            parts = {int(part.get("name")): (float(part.get("x")), float(part.get("y"))) for part in box.iter("part")}
            if sorted(parts) == list(range(68)):
                yield HandSet(path.parent / photograph.get("file"), np.array([parts[i] for i in range(68)]) + 0.5)


def mesh_of(face: HandSet, models: VisionModels) -> np.ndarray | None:
    """The mesh [shape=(478, 3)] that the extraction sees there, or None if the detector does not find the face.

    Raises
    ------
    ValueError
        If the photograph cannot be read.
    """
    picture = picture_of(face.path)
    box = np.concatenate([face.points.min(0), face.points.max(0)])
    found = max(models.detector.detect(picture), key=lambda detected: overlap(detected.box, box), default=None)
    if found is None or overlap(found.box, box) < LEAST_OVERLAP:
        return None
    return models.mesh.find(picture, found.box, found.points[:2]).points


def yaw_of(mesh: np.ndarray) -> float:
    """Measured yaw of a mesh, degrees, to either side."""
    points = shape_points(mesh)
    return abs(float(np.degrees(euler_angles(load_shape_model().fit(points[:, :2], depths=points[:, 2]).rotation)[1])))


def table(faces: list[HandSet], meshes: list[np.ndarray | None]) -> str:
    """Mean and median distances by size and yaw, percent, as Markdown; a face counts once, whatever its size."""
    seen = [(face, mesh) for face, mesh in zip(faces, meshes, strict=True) if mesh is not None]
    errors = np.array([np.linalg.norm(landmarks_68(m[:, :2]) - f.points, axis=1) / f.between_eyes for f, m in seen])
    yaws, large = np.array([yaw_of(mesh) for _, mesh in seen]), np.array([face.between_eyes >= SMALL for face, _ in seen])
    rows = []
    for name, size in ((f"from {SMALL} pixels", large), ("smaller", ~large)):
        classes = [(f"{name}, all", size)]
        classes += [(f"{name}, yaw {low}-{high}", size & (low <= yaws) & (yaws < high)) for low, high in YAWS]
        for label, chosen in classes:
            if chosen.any():
                each = [100 * errors[chosen][:, group].mean(1) for group in GROUPS.values()]
                rows.append([label, str(chosen.sum()), *(f"{e.mean():.1f} ({np.median(e):.1f})" for e in each)])
    lost = f"\n{len(faces) - len(seen)} of {len(faces)} faces were not found.\n"
    return markdown_table(["distance between the eyes", "faces", *GROUPS], rows) + lost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", type=int, choices=(0, 1), help="only the photographs of this half")
    arguments = parser.parse_args()
    faces = hand_set_faces(arguments.folder, arguments.half)
    with single_threaded_models() as models:
        print(table(faces, [mesh_of(face, models) for face in tqdm(faces, desc="faces")]))


if __name__ == "__main__":
    main()
