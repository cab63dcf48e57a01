"""Vision features of the clips of one video by py-feat's detectors, as the 709 columns of OpenFace.

    python -m pipeline.vision_py_feat --clips build/clips/video_0001 --output build/features/vision/video_0001.h5

`features/py_feat.py` says which column is made of what; all are in pixels of the frame.  The store and its flags are
like those of `pipeline.vision`.  The weights are py-feat's own: it takes them from the model hub once, or they are put by hand
where the error message says.  Where none are missing, the network is not used.
"""

import argparse
import importlib.util
import os
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from features.hashing import sha256_of
from features.openface import COLUMNS, UNITS
from features.py_feat import from_py_feat
from features.vision import MINIMUM_CONFIDENCE
from pipeline.base.command import is_of_the_machine, run_command
from pipeline.base.store import ClipFeatures, StoreAttributes, versions_of, write_store
from pipeline.sources.clip_table import Clip, read_clips
from pipeline.vision import FRAME_RATE, failed, flagged, read_frames, with_flags

Version = Literal["v1", "v2"]
EXTRAS = ("success", "confidence", "box", "transform", "track", "faces")
BATCH = 16  # frames
PATIENCE = 5  # s, for an answer of the model hub


@dataclass(frozen=True)
class Weights:
    """A file of weights in a repository `py-feat/<repository>` of the model hub, under one of two names."""

    repository: str
    name: str
    older_name: str = ""


FACES = Weights("retinaface_r34", "model.safetensors", "retinaface_r34.safetensors")
MULTITASK = Weights("face_multitask_v2", "face_multitask_v28.safetensors")
# What the detectors of py-feat 2.1.5 load without their recognition of emotions and persons.
WEIGHTS: dict[Version, tuple[Weights, ...]] = {
    "v2": (FACES, MULTITASK),
    "v1": (
        FACES,
        Weights("mobilefacenet", "mobilefacenet_model_best.pth.tar"),
        Weights("xgb_au", "xgb_au_classifier_v2.skops", "xgb_au_classifier.skops"),
        Weights("pose_mlp_v2", "pose_mlp_v2.safetensors"),
        Weights("pose_mlp_v2", "pose_mlp_v2.json"),
        Weights("l2cs", "l2cs_gaze360_resnet50.safetensors"),
    ),
}


def cache() -> Path:
    """The folder in which py-feat keeps its weights, found without importing it, which takes ten seconds."""
    return Path(importlib.util.find_spec("feat").submodule_search_locations[0]) / "resources"


def reference(weights: Weights) -> Path:
    """The text file that names the snapshot in use of a repository."""
    return cache() / f"models--py-feat--{weights.repository}" / "refs" / "main"


def snapshot(weights: Weights) -> Path:
    """The folder in which the files of a repository lie, or are to be put."""
    file = reference(weights)
    return file.parents[1] / "snapshots" / (file.read_text(encoding="utf-8").strip() if file.is_file() else "main")


def located(weights: Weights) -> Path | None:
    """Where a file of weights lies in the cache, if it is there."""
    paths = [snapshot(weights) / name for name in (weights.name, weights.older_name) if name]
    return next((path for path in paths if path.is_file() and reference(weights).is_file()), None)


def how_to_place(version: Version) -> str:
    """What a person has to do about missing weights."""
    missing = [weights for weights in WEIGHTS[version] if located(weights) is None]
    files = [f"  {snapshot(weights) / weights.name}" for weights in missing]
    references = sorted({f"  {reference(weights)}" for weights in missing if not reference(weights).is_file()})
    lines = [
        f"py-feat's Detector{version} lacks {len(missing)} of its {len(WEIGHTS[version])} files of weights, and the model hub "
        "is not reached or switched off (HF_HUB_OFFLINE).",
        "Run it once with a network, or put these files there, from the hub's repositories py-feat/<...> of the same names:",
        *files,
        *(["and text files with the one word main:", *references] if references else []),
        "Or choose another source in the config: `vision: {source: face_mesh}`.",
    ]
    return "\n".join(lines)


def hub_answers() -> bool:
    """Whether the model hub can be asked for files; says so within seconds."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    request = urllib.request.Request(os.environ.get("HF_ENDPOINT", "https://huggingface.co"), method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def make_detector(version: Version) -> Any:
    """py-feat's Detectorv1 or Detectorv2 on the CPU.

    Raises
    ------
    FileNotFoundError
        If weights are missing and cannot be had; the message says what to place where.
    """
    complete = all(located(weights) for weights in WEIGHTS[version])
    if not complete and not hub_answers():
        raise FileNotFoundError(how_to_place(version))
    if complete:
        os.environ["HF_HUB_OFFLINE"] = "1"  # or each file is looked up in the hub again, a minute without a network
    from feat import Detectorv1, Detectorv2

    try:
        if version == "v1":
            return Detectorv1(emotion_model=None, identity_model=None, device="cpu")
        return Detectorv2(identity_model=None, multitask_weights=located(MULTITASK), device="cpu")
    except OSError as error:  # of the hub
        raise FileNotFoundError(f"{how_to_place(version)}\n({error})") from error


def detect(detector: Any, frames: Iterable[np.ndarray], minimum_confidence: float) -> tuple[pd.DataFrame, int]:
    """What a detector finds: a row per face (see `from_py_feat`), and the number of frames.

    Parameters
    ----------
    detector : feat.Detectorv1 or feat.Detectorv2
    frames : iterable of np.ndarray [shape=(h, w, 3), uint8], RGB
    minimum_confidence : float, of a face, 0-1
    """
    frames, tables, count = iter(frames), [], 0
    while batch := list(islice(frames, BATCH)):
        images = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2)
        found = detector.detect(
            images,
            data_type="tensor",
            batch_size=len(batch),
            face_detection_threshold=minimum_confidence,
            progress_bar=False,
        )
        tables.append(pd.DataFrame(found).assign(frame=found["frame"].to_numpy() + count))
        count += len(batch)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(), count


def clip_features(folder: Path, clip: Clip, detector: Any, minimum_confidence: float) -> ClipFeatures:
    """Features, flags and message of one row of clips.csv in `folder`."""
    frames = read_frames(folder / clip.video) if clip.video else ()
    try:
        found = from_py_feat(*detect(detector, frames, minimum_confidence))
    except Exception as error:  # whatever a model stops with, the other clips go on
        if is_of_the_machine(error):
            raise
        nothing = from_py_feat(pd.DataFrame(), 0)
        return replace(failed(folder, clip, error), extras={name: getattr(nothing, name) for name in EXTRAS})
    features = with_flags(ClipFeatures(found.values, {name: getattr(found, name) for name in EXTRAS}), folder, clip)
    several = found.faces > 1
    if not several.any():
        return features
    told = f"up to {found.faces.max()} faces, on {several.sum()} frames; the one that takes up most of the picture was taken"
    return flagged(features, "several_faces", f"{folder.name}/{clip.clip_id}: {told}")


def extract(folder: Path, output: Path, version: Version, minimum_confidence: float) -> None:
    """Write the vision store of the clips in `folder`.

    Raises
    ------
    FileNotFoundError
        If the folder has no clips.csv, or weights are missing.
    """
    clips, detector = read_clips(folder), make_detector(version)
    files = [located(weights) for weights in WEIGHTS[version]]
    attributes = StoreAttributes(
        columns=COLUMNS,
        units=UNITS,
        frame_rate=FRAME_RATE,
        extractor=f"py-feat Detector{version}",
        settings={"coordinates": "frame", "minimum_confidence": minimum_confidence},
        versions=versions_of("numpy", "opencv-python-headless", "py-feat", "torch"),
        weights={f"{file.parents[2].name.removeprefix('models--')}/{file.name}": sha256_of(file) for file in files},
    )
    rows = (
        (clip.clip_id, clip_features(folder, clip, detector, minimum_confidence))
        for clip in tqdm(clips, desc=f"vision {folder.name}", unit="clip")
    )
    write_store(output, rows, attributes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, help="folder of the clips of one video, with clips.csv")
    parser.add_argument("--output", type=Path, required=True, help="feature file (HDF5) to write")
    parser.add_argument("--detector", choices=("v2", "v1"), default="v2", help="feat.Detectorv2 or feat.Detectorv1")
    parser.add_argument(
        "--minimum-confidence", type=float, default=MINIMUM_CONFIDENCE, help="of a face that is taken for one, 0-1"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    extract(arguments.clips, arguments.output, arguments.detector, arguments.minimum_confidence)


if __name__ == "__main__":
    run_command(main)
