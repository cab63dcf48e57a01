"""Our facial features as py-feat's `Fex`, so that its plots and statistics work on them, and a `Fex` as our features.

    python -m pipeline.fex --features build/features/vision/video_0001.h5 --clip 0001 \
        --video build/clips/video_0001/0001.mp4 --output 0001.csv

The file is one that py-feat reads as the output of its own Detectorv1: `feat.utils.io.read_feat("0001.csv")`.  With
`--frame 30` the output is a picture instead, py-feat's plot of that frame.  In a program:

    fex = to_fex(read_store("build/features/vision/video_0001.h5"), "0001", "build/clips/video_0001/0001.mp4")
    figure = plot_frame(fex, 30)

Columns, units and signs are those of Detectorv1 (`features/py_feat.py` has the table), in pixels of the frame whatever
the coordinates of the store: an AU is a fifth of its intensity, AU28 its presence, AU43 is AU45.  What we have no number
for is NaN: AU11, AU24, the emotions, and X, Y, Z.  To keep every column, use the CSV files of `pipeline/openface_csv.py`,
which `Fex` reads as OpenFace's and `pipeline/openface_source.py` takes back.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from feat import Fex
from feat.pretrained import AU_LANDMARK_MAP
from feat.utils import (
    FEAT_EMOTION_COLUMNS,
    FEAT_FACEBOX_COLUMNS,
    FEAT_FACEPOSE_COLUMNS_6D,
    FEAT_GAZE_COLUMNS,
    FEAT_TIME_COLUMNS,
    openface_2d_landmark_columns,
)
from matplotlib.figure import Figure

from features import align
from features.openface import COLUMNS, block_slice
from features.pose import rotation_matrix
from features.py_feat import euler_of_rotation, from_py_feat, gaze_pitch_yaw
from pipeline.base.command import UserError, run_command
from pipeline.base.io import replacing
from pipeline.base.store import ClipFeatures, Store, read_store
from pipeline.sources.source import probe

AU_COLUMNS = AU_LANDMARK_MAP["Feat"]
OTHER_NAMES = {"AU43": "AU45"}  # py-feat's, ours
FACE_COLUMNS = [*FEAT_FACEBOX_COLUMNS[:4], *openface_2d_landmark_columns, *FEAT_FACEPOSE_COLUMNS_6D[:3], *FEAT_GAZE_COLUMNS]


def face_columns(values: np.ndarray, transform: np.ndarray, box: np.ndarray | None) -> np.ndarray:
    """The numbers of `FACE_COLUMNS` of one frame.

    Parameters
    ----------
    values : np.ndarray [shape=(709,)]
    transform : np.ndarray [shape=(2, 3)], from pixels of the frame to those of `values`
    box : np.ndarray [shape=(4,)], optional
        Left, top, right, bottom, pixels of the frame; without it the box of the 68 points.
    """
    points = align.apply(cv2.invertAffineTransform(transform), np.stack([values[block_slice(axis)] for axis in "xy"], 1))
    left, top, right, bottom = [*points.min(0), *points.max(0)] if box is None else box
    upright = rotation_matrix((0, 0, -np.arctan2(transform[1, 0], transform[0, 0])))
    pitch, yaw = gaze_pitch_yaw(upright @ (values[block_slice("gaze_0")] + values[block_slice("gaze_1")]))
    angles = euler_of_rotation(upright @ rotation_matrix(values[block_slice("pose_R")]))
    gaze = [pitch, yaw, np.arccos(np.cos(pitch) * np.cos(yaw))]
    return np.concatenate([[left, top, right - left, bottom - top], points.T.ravel(), angles, gaze])


def to_fex(store: Store, clip_id: str, video: str | Path | None = None) -> Fex:
    """The features of a clip as py-feat's Detectorv1 would give them, a row per frame; NaN where there is no face.

    Parameters
    ----------
    store : Store, of facial features
    clip_id : str
    video : str or Path, optional
        The clip's video, from which py-feat's plots take the picture.

    Raises
    ------
    KeyError
        If the store has no such clip.
    """
    clip, count = store.clips[clip_id], len(store.clips[clip_id].values)
    success = clip.extras.get("success", np.zeros(count)).astype(bool)
    transforms, boxes = (
        clip.extras.get("transform", np.tile(np.eye(2, 3), (count, 1, 1))),
        clip.extras.get("box", [None] * count),
    )
    faces = np.full((count, len(FACE_COLUMNS)), np.nan)
    for i in np.flatnonzero(success):
        faces[i] = face_columns(clip.values[i].astype(float), transforms[i].astype(float), boxes[i])
    columns = dict(zip(FACE_COLUMNS, faces.T, strict=True))
    columns["FaceScore"] = np.where(success, clip.extras.get("confidence", np.nan), np.nan)
    ours = dict(zip(COLUMNS, clip.values.T.astype(float), strict=True))
    for name in AU_COLUMNS:
        unit = OTHER_NAMES.get(name, name)
        columns[name] = ours[f"{unit}_r"] / 5 if f"{unit}_r" in ours else ours.get(f"{unit}_c", np.nan)
    columns |= dict.fromkeys([*FEAT_FACEPOSE_COLUMNS_6D[3:], *FEAT_EMOTION_COLUMNS], np.nan)
    columns["FrameWidth"], columns["FrameHeight"] = frame_size(video)
    columns["input"], columns["frame"] = str(video or ""), np.arange(count)
    return Fex(
        pd.DataFrame(columns, index=range(count)),
        filename=str(video or ""),
        au_columns=AU_COLUMNS,
        emotion_columns=FEAT_EMOTION_COLUMNS,
        facebox_columns=FEAT_FACEBOX_COLUMNS,
        landmark_columns=openface_2d_landmark_columns,
        facepose_columns=FEAT_FACEPOSE_COLUMNS_6D,
        gaze_columns=FEAT_GAZE_COLUMNS,
        time_columns=FEAT_TIME_COLUMNS,
        sampling_freq=store.attributes.frame_rate,
        detector="Feat",
        au_model="xgb",  # these are its AUs; py-feat's drawings choose their model by this name
    )


def from_fex(fex: Fex) -> ClipFeatures:
    """Our features of a `Fex` of one clip, from py-feat's detectors or from `to_fex` with a video; see `features/py_feat.py`.

    Raises
    ------
    ValueError
        If columns of py-feat's detectors are missing, or the size of the frames is not known.
    """
    needed = ["frame", *FEAT_FACEBOX_COLUMNS, *FACE_COLUMNS[:-1], "FrameWidth", "FrameHeight"]
    missing = [name for name in needed if name not in fex]
    if missing:
        raise UserError(f"The Fex lacks {', '.join(missing[:5])}; give the output of py-feat's Detectorv1 or Detectorv2.")
    if fex[["FrameWidth", "FrameHeight"]].isna().any(axis=None):
        raise UserError(
            "The Fex does not know the size of its frames; give `to_fex` the video, or set FrameWidth and FrameHeight."
        )
    found = from_py_feat(pd.DataFrame(fex), int(fex["frame"].max()) + 1 if len(fex) else 0)
    return ClipFeatures(
        found.values, {name: getattr(found, name) for name in ("success", "confidence", "box", "transform", "track")}
    )


def plot_frame(fex: Fex, frame: int) -> Figure:
    """py-feat's plot of one frame: its picture with box, 68 points, pose and gaze, and the action units as bars.

    py-feat itself reads frames from a video by torchcodec, which needs FFmpeg's shared libraries; here OpenCV does.

    Raises
    ------
    ValueError
        If the clip has no such frame, or no face on it.
    """
    face, video = fex[fex["frame"] == frame].copy(), Path(fex["input"].iloc[0])
    if face["FaceRectX"].isna().all():
        raise UserError(f"There is no face on frame {frame}; choose another of 0 to {int(fex['frame'].max())}.")
    face[["Roll", "gaze_yaw"]] *= -1  # py-feat 2.1.5 draws these two against the signs that it documents
    capture = cv2.VideoCapture(str(video))
    try:
        for _ in range(frame + 1):
            read, picture = capture.read()
    finally:
        capture.release()
    with tempfile.TemporaryDirectory() as folder:
        if read:
            face["input"] = str(Path(folder) / f"{video.stem}, frame {frame}.png")
            Path(face["input"].iloc[0]).write_bytes(cv2.imencode(".png", picture)[1].tobytes())
        return face.plot_detections(poses=True, gazes=True, emotion_barplot=False, plot_original_image=bool(read))[0]


def frame_size(video: str | Path | None) -> tuple[float, float]:
    """Width and height of the frames of a video, pixels; NaN without one.

    Raises
    ------
    FileNotFoundError
        If it cannot be opened.
    """
    if video is None:
        return np.nan, np.nan
    if probe(video).error:  # a playlist among them, which OpenCV would follow
        raise FileNotFoundError(f"{video} is no video that can be read; give the video of the clip, or none")
    capture = cv2.VideoCapture(str(video))
    try:
        return capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    finally:
        capture.release()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", required=True, help="facial feature file of one video")
    parser.add_argument("--clip", required=True, help="clip_id")
    parser.add_argument("--video", type=Path, help="video of the clip, for plots on the picture")
    parser.add_argument("--frame", type=int, help="number of a frame, from 0, to plot")
    parser.add_argument("--output", required=True, help="CSV file to write, or with --frame the picture")
    arguments = parser.parse_args()
    store = read_store(arguments.features)
    if arguments.clip not in store.clips:
        raise UserError(f"{arguments.features} has no clip {arguments.clip}; it has {', '.join(store.clips)}")
    fex = to_fex(store, arguments.clip, arguments.video)
    with replacing(arguments.output) as temporary:
        if arguments.frame is None:
            fex.to_csv(temporary, index=False)
        else:
            plot_frame(fex, arguments.frame).savefig(temporary, bbox_inches="tight")


if __name__ == "__main__":
    run_command(main)
