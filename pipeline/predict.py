"""Predict the sentiment of one clip: your own video, a file or a part of it.

    python -m pipeline.predict talk.mp4 --text '今天很开心' --start 3.2 --end 6.5 --model self_mm.model
    python -m pipeline.predict talk.mp4 --runs build/runs/self_mm

The features are made as those of the model's corpus, in a temporary folder or where --keep says.
"""

import argparse
import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.base.command import UserError, run_command
from pipeline.clip_features import FeatureMaker, encoder_of, timed
from pipeline.pack import dataset_of, pack, seeds_of
from pipeline.predictions import NewClips, predict_new_clips, read_new_clips
from pipeline.runs.model_folder import read_model
from pipeline.runs.predictor import Predictor
from pipeline.sources.manifest_table import NEEDED, read_manifest
from pipeline.sources.names import check_name

CLIP_ID = "0001"


@dataclass
class Prediction:
    """Of one clip: its row of the table of predictions, what each seed says of each task, seconds of each part of the work."""

    row: pd.Series
    seeds: dict[str, np.ndarray]
    seconds: dict[str, float]
    new: NewClips


class ClipPredictor:
    """A model with all that its features need, loaded once.

    Parameters
    ----------
    folder : Path
        Model folder.
    encoder : str
        Its text encoder, a local folder or a hub name.
    """

    def __init__(self, folder: Path, encoder: str):
        self.predictor = Predictor(folder, encoder)
        self.maker = FeatureMaker(self.predictor.model, encoder)

    def __call__(self, video: Path, text: str, start: float | None, end: float | None, folder: Path) -> Prediction:
        """Predict the part of a video from `start` to `end` (s; None for the whole), in which `text` is said.

        folder : Path, gets the manifest of this clip, its clips and its features.

        Raises
        ------
        UserError
            If the file is not there, or the times cannot be.
        """
        cells = dict(zip(NEEDED, (video_id_of(video), CLIP_ID, str(video)), strict=True))
        manifest = folder / "manifest.csv"
        pd.DataFrame([cells | {"start": start, "end": end, "text": text}]).to_csv(manifest, index=False)
        rows = read_manifest(manifest, self.predictor.model.label_range, to_predict=True)
        seconds = self.maker.make(manifest, cells["video_id"], folder)
        with timed(seconds, "system"):
            new = read_new_clips(self.predictor.model, rows, folder / "clips", folder / "features")
            table, outputs = predict_new_clips(self.predictor, new)
        return Prediction(table.iloc[0], {task: values[:, 0] for task, values in outputs.items()}, seconds, new)


def video_id_of(video: Path) -> str:
    """The name of a file, if a video may be called so, else 'video'."""
    with contextlib.suppress(ValueError):
        check_name(video.stem)
        return video.stem
    return "video"


@contextlib.contextmanager
def model_folder(arguments: argparse.Namespace) -> Iterator[Path]:
    """The model folder that is named, or one of the runs that are."""
    if arguments.model:
        yield arguments.model
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "a.model"
        pack(arguments.runs, arguments.dataset or dataset_of(arguments.runs), seeds_of(arguments.runs), folder)
        yield folder


def as_json(found: Prediction, label_range: tuple[float, float]) -> str:
    """All that is known of a prediction."""
    values = {name: value for name, value in found.row.items() if name not in ("start", "end")}
    for name in ("missing", "flags"):
        values[name] = [part for part in values[name].split(";") if part]
    values = {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in values.items()}
    rounded = {task: [round(float(value), 6) for value in outputs] for task, outputs in found.seeds.items()}
    seconds = {part: round(taken, 3) for part, taken in found.seconds.items()}
    return json.dumps(
        values | {"label_range": label_range, "seeds": rounded, "seconds": seconds}, ensure_ascii=False, indent=1, default=float
    )


def as_text(found: Prediction, label_range: tuple[float, float]) -> str:
    """The same for a person."""
    row, (low, high) = found.row, label_range
    lines = [f"{row['class']}: {row['prediction']:+.3f} on a scale from {low:g} to {high:g}"]
    if len(found.seeds["M"]) > 1:
        lines[0] += f"; {len(found.seeds['M'])} seeds, standard deviation {row['spread']:.3f}"
    named = {"T": "text", "A": "voice", "V": "face"}
    alone = [f"{named[task]} {row[f'prediction_{task}']:+.3f}" for task in found.seeds if task in named]
    if alone:
        lines.append("each modality alone: " + ", ".join(alone))
    if row["missing"]:
        lines.append(f"predicted without {row['missing'].replace(';', ' and ')}, of which there is nothing")
    lines += [f"note: {message}" for message in found.new.messages[0]]
    lines += [f"note: {line}" for line in found.new.versions]
    lines.append("seconds: " + ", ".join(f"{part} {taken:.2f}" for part, taken in found.seconds.items()))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--text", default="", help="what is said in it")
    parser.add_argument("--start", type=float, help="s; without start and end the whole file is the clip")
    parser.add_argument("--end", type=float, help="s")
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--model", type=Path, help="model folder that `python -m pipeline.pack` has made")
    chosen.add_argument("--runs", type=Path, help="folder of a run, with a folder per seed, such as build/runs/self_mm")
    parser.add_argument("--dataset", type=Path, help="with --runs: the data set behind them; else the one beside them")
    parser.add_argument("--encoder", default="", help="folder or hub name of the text encoder; else build/encoders/<its name>")
    parser.add_argument("--json", action="store_true", help="print all that is known, as JSON")
    parser.add_argument("--keep", type=Path, help="new folder for clip and features")
    arguments = parser.parse_args()
    if not arguments.video.is_file():
        raise UserError(f"{arguments.video}: no such file; give a video")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(model_folder(arguments))
        model = read_model(folder)
        encoder = stack.enter_context(encoder_of(model, arguments.encoder))
        predictor = ClipPredictor(folder, encoder)
        if arguments.keep:
            arguments.keep.mkdir(parents=True)
        place = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = predictor(arguments.video, arguments.text, arguments.start, arguments.end, place)
    print((as_json if arguments.json else as_text)(found, model.label_range))


if __name__ == "__main__":
    run_command(main)
