"""Give the facial features of a video as OpenFace 2's CSV files, one per clip, for tools that read those.

    python -m pipeline.openface_csv --features build/features/vision/video_0001.h5 --output results/openface_csv/video_0001

The 714 columns are frame (from 1), face_id, timestamp (s), confidence, success, and the 709 of the store.  A frame without
a face has success 0 and empty cells (OpenFace itself writes zeros there).  py-feat reads such a file for its statistics,
`feat.Fex(filename=..., detector="OpenFace", sampling_freq=30).read_file()`; for its plots see `pipeline/fex.py`.
`pipeline/openface_source.py` reads it back into a store.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.base.command import run_command
from pipeline.base.io import replacing
from pipeline.base.store import ClipFeatures, read_store


def openface_table(clip: ClipFeatures, columns: list[str], frame_rate: float) -> pd.DataFrame:
    """The CSV table of one clip: a row per frame, the five leading columns and those of the store."""
    frames = np.arange(len(clip.values))
    if len(frames) == 0:  # a clip that could not be processed has no success and confidence either
        clip = ClipFeatures(clip.values, {"confidence": np.zeros(0), "success": np.zeros(0, bool)})
    leading = pd.DataFrame(
        {
            "frame": frames + 1,
            "face_id": 0,
            "timestamp": np.round(frames / frame_rate, 3),
            "confidence": np.round(clip.extras["confidence"].astype(np.float64), 3),
            "success": clip.extras["success"].astype(int),
        }
    )
    return pd.concat([leading, pd.DataFrame(clip.values, columns=columns)], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", required=True, help="facial feature file of one video")
    parser.add_argument("--output", required=True, help="folder for <clip_id>.csv")
    arguments = parser.parse_args()
    store = read_store(arguments.features)
    with replacing(arguments.output) as folder:
        folder.mkdir()
        for clip_id, clip in store.clips.items():
            table = openface_table(clip, store.attributes.columns, store.attributes.frame_rate)
            table.to_csv(Path(folder) / f"{clip_id}.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    run_command(main)
