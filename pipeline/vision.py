"""Vision features of the clips of one video: the 709 columns of OpenFace at 30 Hz.

    python -m pipeline.vision --clips build/clips/video_0001 --output build/features/vision/video_0001.h5

Every clip of clips.csv is decoded once, frame by frame, and written before the next one is read; the action units, which
count from the neutral face of each person in it, are filled in at the end.  Beside `values` the store has per frame what
`features.vision.VisionFeatures` calls `success`, `confidence`, `box`, `transform`, `track` and `faces`, and per track
`speaking`; `person` says whose neutral face a frame's action units count from, and of each person of the video there is
`neutral_frames`, how many frames it was taken from, and `neutral_intensity` [persons, 17], what it shows by the neutral face
of the population.  Flags: `no_video` (no video file, or none that can be decoded; no rows), `no_face` (not one frame shows a
face: rows of NaN), `face_in_few_frames` (less than half of them do), `failed` (a model stopped with an error: no rows;
the other clips go on), and for information `several_faces` (more than one in a tenth of the frames or more; the message says
which was taken and how sure that is) and `few_neutral_frames` (of a person in the clip the video has less than 3 s).
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import h5py
import numpy as np
import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from features.action_units import neutral_of
from features.openface import AU_INTENSITIES, COLUMNS, UNITS
from features.person import persons_of
from features.speaker import UNCERTAIN, loudness_of
from features.vision import (
    ACTION_UNITS,
    MINIMUM_CONFIDENCE,
    Coordinates,
    Faces,
    VisionFeatures,
    VisionModels,
    action_unit_columns,
    extract_vision,
)
from pipeline.base.command import is_of_the_machine, run_command
from pipeline.base.io import save_array
from pipeline.base.kept_clips import CODE_HELP, KeptFeatures
from pipeline.base.store import ClipFeatures, StoreAttributes, add_clip, add_flag, new_store, versions_of
from pipeline.sources.clip_table import SAMPLE_RATE, Clip, read_clips, read_wav

EXTRACTOR = "mtcnn + face mesh, OpenFace columns"
FRAME_RATE = 30.0
FEW_FRAMES = 0.5
SEVERAL_FACES = 0.1  # share of the frames
SMALL_PICTURE = 80  # shorter side, pixels: a face in it is hardly as large as the detector needs
# On films of 19 people the mean intensities from a neutral face of 1, 2, 3 or 5 s lie .18, .15, .12, .11 from those of the
# whole film, one in a film .36, .30, .27, .26.
FEW_NEUTRAL_FRAMES = 90
NEUTRAL_FRAMES = 10_000  # most that the neutral faces of a video are taken from, evenly spread over it
EXTRAS = ("success", "confidence", "box", "transform", "track", "faces", "speaking")


@dataclass(frozen=True)
class VisionSettings:
    """What the options say; see `--help`."""

    coordinates: Coordinates = "aligned"
    minimum_confidence: float = MINIMUM_CONFIDENCE
    focal_length: float | None = None
    baseline: Literal["video", "none"] = "video"
    faces: Faces = "largest"


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


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a video's picture, pixels; 0 if it cannot be opened."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        return int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    finally:
        capture.release()


def with_flags(features: ClipFeatures, folder: Path, clip: Clip) -> ClipFeatures:
    """The features, with the flags and the message that `success` of the clip's frames calls for.

    Parameters
    ----------
    features : ClipFeatures, with the extra `success`, one per frame
    folder : Path, of the clips of one video
    clip : Clip, the row of the clip in clips.csv
    """
    success = features.extras["success"]
    where, count, seen = f"{folder.name}/{clip.clip_id}", len(success), int(success.sum())
    if count == 0:
        reason = f"{clip.video} cannot be decoded" if clip.video else "no video was cut"
        flag, message = "no_video", f"{reason}; check the raw video, its path and its times in the manifest"
    elif seen == 0:
        flag = "no_face"
        width, height = picture_size(folder / clip.video)
        if 0 < min(width, height) < SMALL_PICTURE:
            cure = f"the picture of {width} x {height} pixels is too small for a face; give a video of a larger size"
        else:
            cure = "check that it shows a person, or lower `minimum_confidence`"
        message = f"no face in {count} frames; {cure}"
    elif seen < FEW_FRAMES * count:
        flag, message = "face_in_few_frames", f"a face in only {seen} of {count} frames; check what the clip shows"
    else:
        return features
    return flagged(features, flag, f"{where}: {message}")


def flagged(features: ClipFeatures, flag: str, message: str) -> ClipFeatures:
    """The features with one more flag and its message."""
    return replace(features, flags=[*features.flags, flag], message=" ".join(filter(None, [features.message, message])))


def failed(folder: Path, clip: Clip, error: Exception) -> ClipFeatures:
    """What is left of a clip whose processing stopped with an error: no rows, the flag `failed` and the cure."""
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return flagged(
        ClipFeatures(np.zeros((0, len(COLUMNS)), np.float32)),
        "failed",
        f"{folder.name}/{clip.clip_id}: {clip.video} could not be measured ({said}); "
        "write the video anew with another program or in another size, or take its rows out of the manifest",
    )


def with_speaker_flag(features: ClipFeatures, folder: Path, clip: Clip, faces: Faces) -> ClipFeatures:
    """The features, with the flag `several_faces` and what was chosen if `faces` of its frames calls for it."""
    several = (features.extras["faces"] > 1) & features.extras["success"]
    if several.sum() < SEVERAL_FACES * max(1, len(several)):
        return features
    where, most = f"{folder.name}/{clip.clip_id}", features.extras["faces"].max()
    if faces == "largest":
        cure = "the largest was taken; `vision: {faces: speaker}` takes the one that speaks"
    else:
        scores = np.sort(features.extras["speaking"])[::-1]
        listed = ", ".join(f"{score:.2f}" for score in scores)
        if len(scores) < 2 or np.isnan(scores).any():
            cure = "without sound or a second face that could be followed the largest was taken; look at it"
        elif scores[0] - scores[1] < UNCERTAIN:
            cure = f"which one speaks is uncertain (mouths against the sound: {listed}); look at it"
        else:
            cure = f"the one that speaks was taken (mouths against the sound: {listed})"
    return flagged(features, "several_faces", f"{where}: up to {most} faces in the picture; {cure}")


def loudness_during(folder: Path, clip: Clip) -> np.ndarray | None:
    """Loudness of a clip's sound per frame, or None where it has none."""
    return loudness_of(read_wav(folder / clip.audio), SAMPLE_RATE, FRAME_RATE) if clip.audio else None


def extract_clip(folder: Path, clip: Clip, models: VisionModels, settings: VisionSettings) -> VisionFeatures:
    """Features of one row of clips.csv in `folder`."""
    return extract_vision(
        read_frames(folder / clip.video) if clip.video else (),
        models,
        coordinates=settings.coordinates,
        minimum_confidence=settings.minimum_confidence,
        focal_length=settings.focal_length,
        faces=settings.faces,
        loudness=loudness_during(folder, clip) if settings.faces == "speaker" else None,
    )


def features_of_clip(
    folder: Path, clip: Clip, models: VisionModels, settings: VisionSettings
) -> tuple[ClipFeatures, np.ndarray]:
    """What the store has of a clip, and the measures of its frames; without rows and flagged if a model fails."""
    try:
        found = extract_clip(folder, clip, models, settings)
        features = ClipFeatures(found.values, {name: getattr(found, name) for name in EXTRAS})
        features = with_speaker_flag(with_flags(features, folder, clip), folder, clip, settings.faces)
    except Exception as error:  # whatever a model stops with, the other clips go on
        if is_of_the_machine(error):
            raise
        found = extract_vision((), models)
        features = replace(failed(folder, clip, error), extras={name: getattr(found, name) for name in EXTRAS})
    return features, found.measures


def extract(
    folder: Path,
    output: Path,
    settings: VisionSettings,
    models: VisionModels | None = None,
    code: Sequence[str] = (),
) -> None:
    """Write the vision store of the clips in `folder`; `models` if they are loaded already.

    code : see `pipeline.base.kept_clips`

    Raises
    ------
    FileNotFoundError
        If the folder has no clips.csv, or the weights of the face mesh are missing.
    """
    clips, models = read_clips(folder), models or VisionModels()
    attributes = StoreAttributes(
        columns=COLUMNS,
        units=UNITS,
        frame_rate=FRAME_RATE,
        extractor=EXTRACTOR,
        settings=asdict(settings),
        versions=versions_of("ai-edge-litert", "facenet-pytorch", "numpy", "opencv-python-headless", "torch"),
        weights=models.weights,
    )
    measures, kept = [], KeptFeatures(output, attributes, code)
    with tempfile.TemporaryDirectory() as folder_of_measures:
        with new_store(output, attributes) as file:
            for clip in tqdm(clips, desc=f"vision {folder.name}", unit="clip"):
                key = kept.key(clip.clip_id, [folder / name for name in (clip.video, clip.audio) if name])
                if features := kept.take(clip.clip_id, key, EXTRAS):
                    of_clip = kept.array(clip.clip_id)
                else:
                    features, of_clip = features_of_clip(folder, clip, models, settings)
                add_clip(file, clip.clip_id, features)
                # On disk: those of a long video would fill the memory.
                save_array(path := Path(folder_of_measures) / f"{len(measures)}.npy", of_clip)
                measures.append(np.load(path, mmap_mode="r"))
                kept.note(clip.clip_id, key, features, measures[-1])
            if settings.baseline == "video":
                count_from_neutral_faces(file, folder.name, clips, measures)
        kept.keep()


def count_from_neutral_faces(file: h5py.File, video_id: str, clips: list[Clip], measures: list[np.ndarray]) -> None:
    """Put the action units from the neutral face of each person into a store; `person` tells who is measured on a frame.

    measures : np.ndarray [shape=(n, m)] of the frames of each clip
    """
    tracks = [(clip, track) for clip in range(len(clips)) for track in np.unique(track_of(file, clips[clip])) if track >= 0]
    step = 1 + sum(map(len, measures)) // NEUTRAL_FRAMES
    some = [measures[clip][track_of(file, clips[clip]) == track][::step] for clip, track in tracks]
    persons = persons_of(some)
    of_person = [
        np.concatenate([rows for rows, of in zip(some, persons, strict=True) if of == person])
        for person in range(persons.max(initial=-1) + 1)
    ]
    neutrals = [neutral_of(rows) for rows in of_person]
    frames_of = np.array([np.isfinite(rows[:, 0]).sum() for rows in of_person], np.int32)
    apart = [action_unit_columns(neutral[None])[0, : len(AU_INTENSITIES)] for neutral in neutrals]
    for number, clip in enumerate(clips):
        group, track, values = file[clip.clip_id], track_of(file, clip), file[clip.clip_id]["values"][:]
        person = np.full(len(track), -1, np.int16)
        for (of_clip, own), known in zip(tracks, persons, strict=True):
            if of_clip == number:
                frames = track == own
                person[frames] = known
                values[frames, ACTION_UNITS] = action_unit_columns(measures[number][frames], neutrals[known])
        group["values"][:] = values
        group["person"] = person
        group["neutral_frames"] = frames_of
        group["neutral_intensity"] = np.array(apart, np.float32).reshape(len(apart), len(AU_INTENSITIES))
        if (short := frames_of[np.unique(person[person >= 0])]).min(initial=FEW_NEUTRAL_FRAMES) < FEW_NEUTRAL_FRAMES:
            add_flag(
                group,
                "few_neutral_frames",
                f"{video_id}/{clip.clip_id}: the neutral face of a person was taken from {short.min()} frames; "
                "mean action units may be off by .5: give more of the video, or `vision: {baseline: none}`",
            )


def track_of(file: h5py.File, clip: Clip) -> np.ndarray:
    """Track of each frame of a clip in a store."""
    return file[clip.clip_id]["track"][:]


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
    parser.add_argument(
        "--focal-length", type=float, help="of the camera, pixels of the frame; without it the one that OpenFace assumes"
    )
    parser.add_argument(
        "--baseline",
        choices=("video", "none"),
        default="video",
        help="neutral face of the action units: that of each person in the video, or that of the population",
    )
    parser.add_argument(
        "--faces",
        choices=("largest", "speaker"),
        default="largest",
        help="which is measured where there are several: the largest, or the one whose mouth goes with the sound",
    )
    parser.add_argument("--code", nargs="+", default=[], help=CODE_HELP)
    arguments = vars(parser.parse_args())
    folder, output, code = arguments.pop("clips"), arguments.pop("output"), arguments.pop("code")
    torch.set_num_threads(1)  # the workflow runs several videos side by side
    cv2.setNumThreads(1)
    threadpool_limits(1)
    extract(folder, output, VisionSettings(**arguments), code=code)


if __name__ == "__main__":
    run_command(main)
