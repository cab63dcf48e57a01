"""What the quality page shows of the clips of one video.

    python -m pipeline.pages.qc_video --clips build/clips/video_0001 --features build/features \
        --output results/qc/videos/video_0001

The output folder holds summary.json, a list with an entry per clip (clip_id; seconds; success, the share of frames with a
face; mean confidence; f0, its median in Hz; null where unknown), `<clip_id>.webp`, the contact sheet of a clip with a
picture, and tracks.js, the curves, which the page loads when a clip of the video is opened. It is a script and no JSON
file because a page that was opened from disk may load scripts alone.
"""

import argparse
import json
import wave
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from features.openface import AU_INTENSITIES
from pipeline.base.command import UserError, run_command
from pipeline.base.io import replacing
from pipeline.base.store import ClipFeatures, Store, read_store
from pipeline.pages.qc_sheet import contact_sheet
from pipeline.pages.qc_tracks import audio_panels, f0_of, rounded, spans, vision_panels
from pipeline.sources.clip_table import Clip, read_clips

SHOWN = 0.5  # intensity from which it is said that a neutral face shows an action unit


def seconds_of(folder: Path, clip: Clip, vision: Store) -> float | None:
    """Length of a clip, that of its sound or its facial features, whichever is longer; None if it has neither."""
    lengths = []
    if clip.audio:
        with wave.open(str(folder / clip.audio), "rb") as file:
            lengths.append(file.getnframes() / file.getframerate())
    if len(vision.clips[clip.clip_id].values):
        lengths.append(len(vision.clips[clip.clip_id].values) / vision.attributes.frame_rate)
    return round(max(lengths), 2) if lengths else None


def summary_of(clip_id: str, seconds: float | None, vision: ClipFeatures, f0: np.ndarray) -> dict:
    """The entry of a clip in summary.json."""
    voiced, has_frames = f0[np.isfinite(f0)], len(vision.values) > 0
    (median,) = rounded([np.median(voiced) if len(voiced) else np.nan], 0)
    success, confidence = (
        rounded([np.mean(vision.extras[name]) if has_frames else np.nan], 4)[0] for name in ("success", "confidence")
    )
    return {"clip_id": clip_id, "seconds": seconds, "success": success, "confidence": confidence, "f0": median}


def neutral_faces_of(vision: ClipFeatures) -> list[dict]:
    """Of each person in a clip: from how many frames the neutral face was taken, and what it shows by the population's."""
    if "neutral_frames" not in vision.extras:  # another source, or `baseline: none`
        return []
    found = []
    for person in np.unique(vision.extras["person"][vision.extras["person"] >= 0]):
        shown = zip(AU_INTENSITIES, vision.extras["neutral_intensity"][person], strict=True)
        units = {name: round(float(value), 1) for name, value in shown if value >= SHOWN}
        found.append({"person": int(person), "frames": int(vision.extras["neutral_frames"][person]), "units": units})
    return found


def details_of(seconds: float | None, tiles: list[dict], vision: ClipFeatures, rate: float, panels: list[dict]) -> dict:
    """What tracks.js has of a clip: the tiles of its contact sheet, where no face was found, neutral faces, the panels."""
    without_face = spans(~vision.extras["success"].astype(bool), rate) if len(vision.values) else []
    neutral = neutral_faces_of(vision)
    return {"seconds": seconds, "sheet": tiles, "without_face": without_face, "neutral_faces": neutral, "panels": panels}


def write_video(folder: Path, audio: Store, vision: Store, output: Path) -> None:
    """Write the files of one video into `output`, an existing folder.

    Raises
    ------
    ValueError
        If a feature file lacks a clip of clips.csv.
    """
    summaries, details = [], []
    for clip in tqdm(read_clips(folder), desc=f"quality page {folder.name}", unit="clip"):
        for name, store in (("audio", audio), ("vision", vision)):
            if clip.clip_id not in store.clips:
                raise UserError(
                    f"the {name} features of {folder.name} lack clip {clip.clip_id}; delete that file and run again"
                )
        heard, seen = audio.clips[clip.clip_id], vision.clips[clip.clip_id]
        rate = vision.attributes.frame_rate
        picture, tiles = contact_sheet(folder / clip.video, seen, rate) if clip.video else (b"", [])
        if picture:
            (output / f"{clip.clip_id}.webp").write_bytes(picture)
        wav = folder / clip.audio if clip.audio else None
        panels = vision_panels(seen, vision.attributes) + audio_panels(heard, audio.attributes, wav)
        seconds = seconds_of(folder, clip, vision)
        summaries.append(summary_of(clip.clip_id, seconds, seen, f0_of(heard, audio.attributes)))
        details.append([clip.clip_id, details_of(seconds, tiles, seen, rate, panels)])
    lines = ",\n".join(as_json(one) for one in details)
    (output / "tracks.js").write_text(f"showTracks({as_json(folder.name)}, [\n{lines}\n]);\n", encoding="utf-8")
    lines = ",\n".join(as_json(one) for one in summaries)
    (output / "summary.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, help="folder of one video's clips")
    parser.add_argument("--features", type=Path, required=True, help="folder with audio/ and vision/")
    parser.add_argument("--output", required=True, help="folder for the files of this video")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    audio, vision = (read_store(arguments.features / name / f"{arguments.clips.name}.h5") for name in ("audio", "vision"))
    with replacing(arguments.output) as folder:
        folder.mkdir()
        write_video(arguments.clips, audio, vision, folder)


if __name__ == "__main__":
    run_command(main)
