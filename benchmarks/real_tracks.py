"""Finding and following the faces of real people: changes of track, hard cuts, small faces.

    python -m benchmarks.real_tracks FOLDER [--frames 300] [--background FOLDER]

Every video of the folder shows one person, without a cut.  Three tables, for each half of the films (by a hash of the name):
how many of their frames show a face and how often its track changes; how many hard cuts from one person to another in the
same place (A-B-A-B, films cut to the face) begin no new track; how many faces are found that are shrunk to 40 pixels, from
brow to chin, in a picture of 1280 x 720 from the background's videos, which show no face.
"""

import argparse
import hashlib
from itertools import islice, permutations
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from benchmarks.accuracy_report import markdown_table
from benchmarks.accuracy_speakers import single_threaded_models
from benchmarks.real_gaze import VIDEOS
from features.confidence import MINIMUM_CONFIDENCE, confidence_of
from features.track import FaceTracker, TrackedFace
from features.vision import VisionModels
from pipeline.vision import read_frames

SHOT = 4  # frames between two cuts
PLACE, SIDE = 320, 130  # pixels: of the square about a face that is cut, of the face in it
SMALL, SCENE = 40, (1280, 720)  # pixels
SHOTS = 15  # frames that are kept of each film for the cuts and the small faces


def half_of(path: Path) -> int:
    """The half, 0 or 1, that a film belongs to."""
    return hashlib.sha256(path.stem.encode()).digest()[0] % 2


def follow(frames: list[np.ndarray], models: VisionModels) -> list[TrackedFace | None]:
    """The followed face on each frame, None where there is none with enough confidence."""
    tracker = FaceTracker(models.detector, models.mesh)
    faces = [next(iter(tracker.next(frame)), None) for frame in frames]
    return [face if face and confidence_of(face) >= MINIMUM_CONFIDENCE else None for face in faces]


def changes_of(faces: list[TrackedFace | None]) -> int:
    """How often the track of successive faces changes."""
    tracks = [face.track for face in faces if face]
    return int(np.count_nonzero(np.diff(tracks)))


def placed(frame: np.ndarray, box: np.ndarray, side: float, centre: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
    """A picture of `size` (width, height) with the face of `box` in it, `side` high, about `centre`; zero beyond the frame."""
    scale = side / (box[3] - box[1])
    if scale < 0.5:  # no pixel is skipped
        shrunk = cv2.resize(frame, None, fx=2 * scale, fy=2 * scale, interpolation=cv2.INTER_AREA)
        return placed(shrunk, box * 2 * scale, side, centre, size)
    shift = np.array(centre) - scale * (box[:2] + box[2:]) / 2
    return cv2.warpAffine(frame, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), size, flags=cv2.INTER_LINEAR)


def missed_cut(first: list[np.ndarray], second: list[np.ndarray], models: VisionModels) -> tuple[int, int, int]:
    """Cuts, those that begin no other track, and changes without a cut of A-B-A-B."""
    shots = [first[:SHOT], second[:SHOT], first[SHOT : 2 * SHOT], second[SHOT : 2 * SHOT]]
    faces = follow([frame for shot in shots for frame in shot], models)
    tracks = [{face.track for face in faces[i * SHOT : (i + 1) * SHOT] if face} for i in range(len(shots))]
    pairs = [(before, after) for before, after in zip(tracks, tracks[1:], strict=False) if before and after]
    return len(pairs), sum(bool(before & after) for before, after in pairs), sum(len(shot) > 1 for shot in tracks)


def is_found(frame: np.ndarray, box: np.ndarray, scene: np.ndarray, models: VisionModels, random: np.random.Generator) -> bool:
    """Whether the face of a frame, shrunk into a scene, is followed there."""
    centre = tuple(random.uniform([100, 100], np.array(SCENE) - 100))
    inside = placed(np.full_like(frame[..., 0], 255), box, SMALL, centre, SCENE)[..., None] > 127
    picture = np.where(inside, placed(frame, box, SMALL, centre, SCENE), cv2.resize(scene, SCENE, interpolation=cv2.INTER_AREA))
    (face,) = follow([picture], models)
    return face is not None and np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - centre) < SMALL / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=300, help="most frames of a video")
    parser.add_argument("--background", type=Path, help="folder of videos without a face")
    arguments = parser.parse_args()
    random, followed, shots = np.random.default_rng(0), [], {}
    scenes = (
        [frame for path in sorted(arguments.background.iterdir()) for frame in islice(read_frames(path), 0, 90, 30)]
        if arguments.background
        else []
    )
    with single_threaded_models() as models:
        for path in tqdm(sorted(path for path in arguments.folder.rglob("*") if path.suffix.lower() in VIDEOS)):
            frames = list(islice(read_frames(path), arguments.frames))
            faces = follow(frames, models)
            seen = [face for face in faces if face]
            followed.append([path.name, str(half_of(path)), str(len(frames)), str(len(seen)), str(changes_of(faces))])
            if len(seen) >= SHOTS:
                start = next(i for i, face in enumerate(faces) if face)
                shots[path] = (frames[start : start + SHOTS], seen[0].box)
            del frames
        rows = []
        for half in (0, 1):
            people = {path: shot for path, shot in shots.items() if half_of(path) == half}
            squares = {
                path: [placed(frame, box, SIDE, (PLACE / 2, PLACE / 2), (PLACE, PLACE)) for frame in frames]
                for path, (frames, box) in people.items()
            }
            pairs = list(permutations(squares, 2))
            chosen = random.permutation(len(pairs))[:60]
            cuts = [missed_cut(squares[pairs[i][0]], squares[pairs[i][1]], models) for i in chosen]
            small = [
                is_found(frames[i], box, scene, models, random)
                for frames, box in people.values()
                for i in (0, SHOTS - 1)
                for scene in scenes
            ]
            found = f"{np.mean(small):.2f} of {len(small)}" if small else ""
            rows.append([str(half), *map(str, np.sum(cuts, 0)), found])
    print(markdown_table(["film", "half", "frames", "with a face", "changes of track"], followed))
    print(markdown_table(["half", "cuts", "missed", "changes without a cut", "small faces found"], rows))


if __name__ == "__main__":
    main()
