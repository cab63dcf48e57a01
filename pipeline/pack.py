"""Pack the runs of a system, all its seeds, into a model folder that is complete in itself (pipeline/runs/model_folder.py).

    python -m pipeline.pack build/runs/self_mm --output self_mm.model

The data set is read from beside the runs (build/dataset.h5) unless it is named.
"""

import argparse
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
from safetensors.numpy import save

from features.hashing import sha256_of
from models.system import MODALITIES
from pipeline.base.command import UserError, run_command
from pipeline.base.io import replacing
from pipeline.base.store import attributes_of, open_dataset
from pipeline.runs.model_card import model_card
from pipeline.runs.model_folder import STATISTICS, Model, weights_file, write_description
from pipeline.runs.read_back import read_metrics, read_predictions, read_run_config


def seeds_of(runs: Path) -> list[int]:
    """The seeds that there are in the folder of a run. Raises UserError if there is none."""
    seeds = sorted(int(path.parent.name) for path in runs.glob("*/model.safetensors") if path.parent.name.isdecimal())
    if not seeds:
        raise UserError(f"{runs}: no trained seed in it; give the folder of a run, such as build/runs/self_mm")
    return seeds


def dataset_of(runs: Path) -> Path:
    """The data set beside the runs: build/dataset.h5 for build/runs/self_mm."""
    return runs.resolve().parent.parent / "dataset.h5"


def pack(runs: Path, dataset: Path, seeds: list[int], folder: Path) -> Model:
    """Write a model folder.

    Parameters
    ----------
    runs : Path
        Folder of a run, with a folder per seed.
    dataset : Path
        The dataset.h5 that it was trained on.
    seeds : list of int
    folder : Path
        Where to; it must not exist.

    Raises
    ------
    UserError
        If the seeds differ in their values, or were trained on other clips than the data set has.
    """
    folder.mkdir()
    values = [read_run_config(runs.parent, runs.name, seed) for seed in seeds]
    for seed, own in zip(seeds, values, strict=True):
        own.pop("seed")
        if own != values[0]:
            key = next(key for key in own if own[key] != values[0].get(key))
            raise UserError(f"{runs}: seed {seed} was trained with another {key} than seed {seeds[0]}; train them again")
    metrics = {str(seed): read_metrics(runs.parent, runs.name, seed) for seed in seeds}
    with open_dataset(dataset) as file:
        check_clips(file, runs, seeds[0], dataset)
        arrays = {f"{name}.{part}": file[name][part][:] for name in MODALITIES for part in ("mean", "std")}
        made = [name for name in MODALITIES if "extractor" in file[name].attrs]
        known = {
            "corpus": str(file.attrs["corpus"]),
            "label_range": (float(file.attrs["label_low"]), float(file.attrs["label_high"])),
            "longest": {name: int(np.diff(file[name]["offsets"][:]).max()) for name in MODALITIES},
            "features": {name: attributes_of(file[name]) for name in made},
            "pooling": {name: int(file[name].attrs["pooling"]) for name in made},
        }
    (folder / STATISTICS).write_bytes(save(arrays))
    for seed in seeds:
        shutil.copyfile(runs / str(seed) / "model.safetensors", folder / weights_file(seed))
    model = Model(
        name=runs.name,
        system=values[0].pop("system"),
        values=values[0],
        seeds=seeds,
        metrics={seed: {split: scores[split] for split in ("valid", "test")} for seed, scores in metrics.items()},
        versions=json.loads((runs / str(seeds[0]) / "versions.json").read_text(encoding="utf-8")),
        sha256={name: sha256_of(folder / name) for name in (STATISTICS, *map(weights_file, seeds))},
        **known,
    )
    write_description(folder, model)
    (folder / "README.md").write_text(model_card(model), encoding="utf-8")
    return model


def check_clips(file: h5py.File, runs: Path, seed: int, dataset: Path) -> None:
    """Raise UserError unless the clips of the run are those of the data set."""
    table = read_predictions(runs.parent, runs.name, seed)
    for name in ("video_id", "clip_id", "mode"):
        if table[name].tolist() != file["clips"][name].asstr()[:].tolist():
            raise UserError(f"{runs}: it was trained on other clips than those of {dataset}; give its data set with --dataset")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder of a run, with a folder per seed")
    parser.add_argument("--dataset", type=Path, help="the data set it was trained on; else the one beside the runs")
    parser.add_argument("--seeds", type=int, nargs="+", help="some of the seeds; else all that there are")
    parser.add_argument("--output", type=Path, required=True, help="the model folder to write")
    arguments = parser.parse_args()
    dataset = arguments.dataset or dataset_of(arguments.runs)
    with replacing(arguments.output) as folder:
        model = pack(arguments.runs, dataset, arguments.seeds or seeds_of(arguments.runs), folder)
    print(f"{arguments.output}: {model.name}, {len(model.seeds)} seed(s)")


if __name__ == "__main__":
    run_command(main)
