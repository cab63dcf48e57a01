"""A small trained system, and what packs it."""

import json

import h5py
import numpy as np
import yaml
from safetensors.numpy import save_file

from pipeline.base.store import StoreAttributes, put_attributes
from tests.pipeline.test_train import write_dataset

SETTINGS = {"text": {"encoder": "an encoder", "batch_size": 8}, "audio": {"f0_min": 65.0}, "vision": {"baseline": "video"}}


def describe(dataset):
    """Let a data set say how its features were made, as `pipeline.dataset` does."""
    with h5py.File(dataset, "r+") as file:
        for modality, settings in SETTINGS.items():
            columns = [f"{modality} {i}" for i in range(file[modality]["values"].shape[1])]
            rate = {"text": 0.0, "audio": 43.07, "vision": 30.0}[modality]
            weights = {"an encoder" if modality == "text" else f"{modality} net": "abc"}
            made = StoreAttributes(columns, ["1"] * len(columns), rate, modality, settings, {"numpy": "1"}, weights)
            put_attributes(file[modality], made)
            file[modality].attrs["pooling"] = 5 if modality == "vision" else 1
    return dataset


def write_runs(folder, dataset, seeds=(1, 12)):
    """Run folders of a system whose weights are a single number."""
    with h5py.File(dataset) as file:
        clips = {name: file[f"clips/{name}"].asstr()[:] for name in ("video_id", "clip_id", "mode")}
    for seed in seeds:
        run = folder / str(seed)
        run.mkdir(parents=True)
        lines = [",".join(clips), *(",".join(row) for row in zip(*clips.values(), strict=True))]
        (run / "predictions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (run / "config.yaml").write_text(yaml.safe_dump({"system": "constant", "seed": seed}))
        scores = {"acc2": 0.5, "acc3": 0.4, "acc5": 0.3, "f1": 0.5, "mae": 0.4 + seed / 100, "corr": None, "f1_table2": 0.5}
        (run / "metrics.json").write_text(json.dumps({"valid": {"M": scores}, "test": {"M": scores}}))
        (run / "versions.json").write_text('{"python": "3.11", "device": "cpu"}')
        save_file({"median": np.array([seed / 100])}, run / "model.safetensors")
    return folder


def write_corpus(folder):
    """Data set and runs of a corpus: the folder of the runs."""
    describe(write_dataset(folder / "dataset.h5"))
    return write_runs(folder / "runs" / "constant", folder / "dataset.h5")
