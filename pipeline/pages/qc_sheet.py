"""The contact sheet of a clip: above some whole frames with the box of the face, below the face of each, drawn upon.

The clip is divided into parts of equal length, and of each the frame with the lowest confidence is shown: if the face is
well seen there, it is so everywhere.
"""

from pathlib import Path

import cv2
import numpy as np

from features.draw import draw_box, draw_face
from features.openface import block_slice
from pipeline.base.store import ClipFeatures

TILES = 6
SIDE = 280  # pixels of a tile
GAP = 3  # pixels between tiles
MARGIN = 1.4  # side of the picture of a face, in sides of its box
QUALITY = 82  # of WebP, 1-100
WHITE = np.full((GAP, SIDE, 3), 255, np.uint8)
EMPTY = 225  # grey where nothing is to be seen


def chosen_frames(confidence: np.ndarray) -> list[int]:
    """Of every part of a clip the frame with the lowest confidence; `confidence` is [shape=(n,)]."""
    parts = np.array_split(np.arange(len(confidence)), TILES)
    return [int(part[np.argmin(confidence[part])]) for part in parts if len(part)]


def read_chosen(path: Path, chosen: list[int]) -> dict[int, np.ndarray]:
    """Some frames of a video file by their number, [shape=(h, w, 3), uint8], RGB; those that cannot be read are missing."""
    capture, found = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), {}
    try:
        for number in range(max(chosen, default=-1) + 1):
            if not capture.grab():
                break
            read, frame = capture.retrieve() if number in chosen else (False, None)
            if read:
                found[number] = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()
    return found


def length_and_rate(path: Path) -> tuple[int, float]:
    """How many frames a video file says it has, and how many a second (Hz); zeros if it cannot be opened."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))), capture.get(cv2.CAP_PROP_FPS)
    finally:
        capture.release()


def whole_tile(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A frame with the box of the face, made to fit into a square tile; [shape=(at most SIDE, SIDE, 3)]."""
    scale = SIDE / max(frame.shape[:2])
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    small = draw_box(small, box, scale * np.eye(2, 3))
    left = (SIDE - small.shape[1]) // 2
    tile = np.full((small.shape[0], SIDE, 3), EMPTY, np.uint8)
    tile[:, left : left + small.shape[1]] = small
    return tile


def face_tile(frame: np.ndarray, box: np.ndarray, columns: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """The face with all that was measured on it, [shape=(SIDE, SIDE, 3)]; grey where no place of a face is known.

    Parameters
    ----------
    frame : np.ndarray [shape=(h, w, 3), uint8], RGB
    box : np.ndarray [shape=(4,)], left, top, right, bottom, pixels of the frame
    columns : np.ndarray [shape=(709,)]
    transform : np.ndarray [shape=(2, 3)], from the frame's pixels to those of the columns
    """
    if not np.isfinite(box).all():
        return np.full((SIDE, SIDE, 3), EMPTY, np.uint8)
    box = box.astype(float)
    side = max(2, round(MARGIN * max(box[2] - box[0], box[3] - box[1])))
    centre, scale = (box[:2] + box[2:]) / 2, SIDE / side
    part = cv2.getRectSubPix(frame, (side, side), tuple(centre))
    part = cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    # The middle of a pixel has whole numbers; `resize` keeps the pixels' corners, therefore the half pixels.
    from_frame = scale * np.column_stack([np.eye(2), (side - 1) / 2 + 0.5 - centre]) - [[0, 0, 0.5], [0, 0, 0.5]]
    to_frame = cv2.invertAffineTransform(transform.astype(float))
    to_part = from_frame[:, :2] @ to_frame + np.column_stack([np.zeros((2, 2)), from_frame[:, 2]])
    return draw_face(draw_box(part, box, from_frame), columns, to_part)


def place_of(clip: ClipFeatures, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns of a row, box of its face in the frame, and transform from the frame to the columns' pixels.

    A source without the extras `box` and `transform` has its columns in the pixels of the frame; the box is then that
    of the points.
    """
    columns = clip.values[row].astype(float)
    if "transform" in clip.extras:
        return columns, clip.extras["box"][row], clip.extras["transform"][row]
    points = columns[block_slice("x")], columns[block_slice("y")]
    return columns, np.array([*np.min(points, 1), *np.max(points, 1)]), np.eye(2, 3)


def contact_sheet(path: Path, clip: ClipFeatures, rate: float) -> tuple[bytes, list[dict]]:
    """The contact sheet of a clip.

    Parameters
    ----------
    path : Path
        Its video file.
    clip : ClipFeatures
        Facial features with the extras `success` and `confidence`. Of a clip without rows plain frames are shown.
    rate : float
        Of the rows, Hz.

    Returns
    -------
    (bytes, list of dict)
        The picture as a WebP file, and for each tile from left to right `time` (s) and, where there are features,
        `confidence` and `success`; both empty if no frame can be read.
    """
    count, frame_rate = length_and_rate(path)
    has_rows = len(clip.values) > 0
    chosen = chosen_frames(clip.extras["confidence"] if has_rows else np.zeros(count))
    rate = rate if has_rows else frame_rate
    frames = read_chosen(path, [round(row / rate * frame_rate) for row in chosen])
    pictures, tiles = [], []
    for row in chosen:
        frame = frames.get(round(row / rate * frame_rate))
        if frame is None:
            continue
        columns, box, transform = place_of(clip, row) if has_rows else (None, np.full(4, np.nan), np.eye(2, 3))
        tile = np.concatenate([whole_tile(frame, box), WHITE, face_tile(frame, box, columns, transform)])
        pictures.append(cv2.copyMakeBorder(tile, 0, 0, GAP, GAP, cv2.BORDER_CONSTANT, value=(255, 255, 255)))
        tiles.append({"time": round(row / rate, 2)})
        if has_rows:
            confidence, success = clip.extras["confidence"][row], clip.extras["success"][row]
            tiles[-1] |= {"confidence": round(float(confidence), 2), "success": bool(success)}
    if not tiles:
        return b"", []
    sheet = cv2.cvtColor(np.concatenate(pictures, axis=1), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".webp", sheet, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1].tobytes(), tiles
