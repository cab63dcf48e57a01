"""Fit a system that is no network."""

import numpy as np
import torch

from models import load_system
from models.estimator import Estimator
from pipeline.runs.data import Dataset, time_means
from pipeline.runs.fit import check_labels
from pipeline.runs.run_folder import Run


def pooled_inputs(dataset: Dataset) -> dict[str, np.ndarray]:
    """One vector per clip and modality (mean over time), and the text's first token: {name: [shape=(clips, D)]}."""
    inputs = {"first_token": dataset.values["text"][dataset.offsets["text"][:-1]].numpy()}
    for modality, values in dataset.values.items():
        inputs[modality] = time_means(values.numpy(), dataset.offsets[modality].numpy())
    return inputs


def fit_estimator(name: str, config: object, dataset: Dataset) -> tuple[Estimator, list[dict]]:
    """Fit a system that is no network; what it leaves open is chosen on the validation split. Also what was tried."""
    estimator = load_system(name)(config)
    inputs, labels = pooled_inputs(dataset), dataset.labels["M"].numpy()
    train, valid = (
        ({key: vectors[indices] for key, vectors in inputs.items()}, labels[indices])
        for indices in (dataset.split("train"), dataset.split("valid"))
    )
    return estimator, estimator.fit(*train, *valid)


def train_estimator(name: str, config: object, dataset: Dataset, seed: int, looked_at: np.ndarray) -> Run:
    """Fit a system that is no network; predictions are made for the clips at `looked_at`."""
    check_labels(name, ["M"], dataset)
    estimator, history = fit_estimator(name, config, dataset)
    predictions = np.full(len(dataset.mode), np.nan, dtype=np.float32)
    predictions[looked_at] = estimator.predict({key: values[looked_at] for key, values in pooled_inputs(dataset).items()})
    weights = {key: torch.from_numpy(np.ascontiguousarray(array)) for key, array in estimator.arrays().items()}
    parameters = sum(tensor.numel() for tensor in weights.values())
    return Run(name, seed, config, estimator.chosen, history, {"M": predictions}, weights, parameters, [])
