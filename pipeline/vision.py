"""Vision features of the clips of one video: the 709 columns of OpenFace at 30 Hz.

    python -m pipeline.vision --clips build/clips/video_0001 --output build/features/vision/video_0001.h5

Every clip of clips.csv is decoded once, frame by frame.  Beside `values` the store has `success` and `confidence` per
frame.  Flags: `no_video` (no video file, or none that can be decoded; no rows), `no_face` (not one frame shows a face:
rows of NaN), `face_in_few_frames` (less than half of them do).
"""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

from features.openface import COLUMNS, UNITS
from features.vision import MINIMUM_CONFIDENCE, VisionModels, extract_vision
from pipeline.clips import Clip, read_clips
from pipeline.store import ClipFeatures, StoreAttributes, versions_of, write_store

FRAME_RATE = 30.0
FEW_FRAMES = 0.5


def read_frames(path: Path) -> Iterator[np.ndarray]:
    """The frames of a video file, one after another, [shape=(h, w, 3), uint8], RGB; none if it cannot be decoded."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        while True:
            read, frame = capture.read()
            if not read:
                return
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()


def clip_features(folder: Path, clip: Clip, models: VisionModels, coordinates: str, minimum_confidence: float) -> ClipFeatures:
    """Features, flags and message of one row of clips.csv in `folder`."""
    where = f"{folder.name}/{clip.clip_id}"
    frames = read_frames(folder / clip.video) if clip.video else ()
    found = extract_vision(frames, models, coordinates=coordinates, minimum_confidence=minimum_confidence)
    features = ClipFeatures(found.values, {"success": found.success, "confidence": found.confidence})
    count, seen = len(found.success), int(found.success.sum())
    if count == 0:
        reason = f"{clip.video} cannot be decoded" if clip.video else "no video was cut"
        features.flags = ["no_video"]
        features.message = f"{where}: {reason}; check the raw video, its path and its times in the manifest"
    elif seen == 0:
        features.flags = ["no_face"]
        features.message = f"{where}: no face in {count} frames; check that it shows a person, or lower `minimum_confidence`"
    elif seen < FEW_FRAMES * count:
        features.flags = ["face_in_few_frames"]
        features.message = f"{where}: a face in only {seen} of {count} frames; check what the clip shows"
    return features


def extract(folder: Path, output: Path, coordinates: str, minimum_confidence: float) -> None:
    """Write the vision store of the clips in `folder`.

    Raises
    ------
    FileNotFoundError
        If the folder has no clips.csv, or the weights of the face mesh are missing.
    """
    clips = read_clips(folder)
    with contextlib.closing(VisionModels()) as models:
        attributes = StoreAttributes(
            columns=COLUMNS,
            units=UNITS,
            frame_rate=FRAME_RATE,
            extractor="mtcnn + face mesh, OpenFace columns",
            settings={"coordinates": coordinates, "minimum_confidence": minimum_confidence},
            versions=versions_of("facenet-pytorch", "mediapipe", "numpy", "opencv-python-headless", "torch"),
            weights=models.weights,
        )
        rows = (
            (clip.clip_id, clip_features(folder, clip, models, coordinates, minimum_confidence))
            for clip in tqdm(clips, desc=f"vision {folder.name}", unit="clip")
        )
        write_store(output, rows, attributes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True, help="folder of the clips of one video, with clips.csv")
    parser.add_argument("--output", type=Path, required=True, help="feature file (HDF5) to write")
    parser.add_argument(
        "--coordinates", choices=("aligned", "frame"), default="aligned", help="picture that pixels and camera belong to"
    )
    parser.add_argument(
        "--minimum-confidence",
        type=float,
        default=MINIMUM_CONFIDENCE,
        help="frames with less count as frames without a face, 0-1",
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    extract(arguments.clips, arguments.output, arguments.coordinates, arguments.minimum_confidence)


if __name__ == "__main__":
    main()
