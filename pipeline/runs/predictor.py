"""A trained system of a model folder (see model_folder.py), ready to predict: clips in, numbers of all its seeds out."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from features.pooling import mean_pool
from models import load_system
from models.estimator import Estimator
from models.system import MODALITIES, System, build_config
from pipeline.base.command import UserError
from pipeline.base.store import ClipFeatures
from pipeline.runs.data import STANDARDISED, Dataset, standardise, time_means
from pipeline.runs.fit import predict
from pipeline.runs.model_folder import read_model, read_statistics, read_weights
from pipeline.runs.run_folder import learned_weights, load_encoder, make_system

Clips = list[dict[str, ClipFeatures]]  # of each clip the features of each modality


class Predictor:
    """The networks of all seeds of a model folder, in evaluation mode, on the CPU.

    Parameters
    ----------
    folder : Path
    encoder : str or Path
        The text encoder, for a system that fine-tunes it.

    Raises
    ------
    UserError
        If the folder is damaged, the system is no network, or its weights are those of another version of models/.
    """

    def __init__(self, folder: Path, encoder: str | Path = ""):
        self.model = read_model(folder)
        system_class = load_system(self.model.system)
        if issubclass(system_class, Estimator):
            raise UserError(f"{folder}: {self.model.system} is no network, which alone can be packed for this; take another")
        if not self.model.features:
            raise UserError(
                f"{folder}: trained on a published feature file; features like it cannot be made: train on raw videos"
            )
        self.reads_tokens = system_class.reads_tokens
        self.config = build_config(system_class.config_class, self.model.values)
        self.means = system_class.means_suffice(self.config)
        self.statistics = read_statistics(folder)
        module = load_encoder(str(encoder)) if self.reads_tokens else None
        self.system: System = make_system(system_class, self.config, self.dataset([]), module).eval()
        self.weights = {seed: read_weights(folder, seed) for seed in self.model.seeds}
        if unknown := set(self.weights[self.model.seeds[0]]) ^ set(learned_weights(self.system)):
            raise UserError(f"{folder}: weights that do not fit models/ as it is now ({min(unknown)}): train and pack again")

    def dataset(self, clips: Clips) -> Dataset:
        """The clips as the systems read those of their corpus.

        A frame without a value, and a clip without a frame, becomes the mean of the train split, as in dataset.h5.
        """
        values, offsets, ids = {}, {}, []
        for modality in MODALITIES:
            mean, deviation = self.statistics[modality]
            pooled = [mean_pool(clip[modality].values, self.model.pooling[modality]) for clip in clips]
            filled = [np.zeros((0, len(mean)), np.float32), *(fill(frames, mean).astype(np.float32) for frames in pooled)]
            frames = np.concatenate(filled)
            starts = np.cumsum([len(part) for part in filled])
            if modality in STANDARDISED:
                standardise(frames, mean, deviation)
            if modality in self.means and clips:
                frames, starts = time_means(frames, starts), np.arange(len(starts))
            values[modality], offsets[modality] = torch.from_numpy(frames), torch.from_numpy(starts)
        if self.reads_tokens:
            ids = [clip["text"].extras["token_ids"].astype(np.int64) for clip in clips]
        return Dataset(
            video_id=[""] * len(clips),
            clip_id=[""] * len(clips),
            mode=["test"] * len(clips),
            labels={},
            values=values,
            offsets=offsets,
            longest=self.model.longest,
            corpus=self.model.corpus,
            label_range=self.model.label_range,
            encoder=self.model.encoder[0],
            tokens=torch.from_numpy(np.concatenate(ids)) if ids else None,
        )

    def predict(self, clips: Clips) -> dict[str, np.ndarray]:
        """What each seed says of each clip: {task: float32 [shape=(seeds, clips)]}."""
        return predict_with_each(self.system, self.weights.values(), self.dataset(clips))


def predict_with_each(system: System, weights: Iterable[dict[str, torch.Tensor]], dataset: Dataset) -> dict[str, np.ndarray]:
    """What a system says of all clips with the weights of each seed: {task: float32 [shape=(seeds, clips)]}.

    One network serves all seeds: the frozen part of a text encoder is the same, and what it gives is computed once.
    """
    if dataset.tokens is not None and system.config.frozen_layers:
        dataset = dataset.with_token_states(system.encoder.frozen_states)
    everything, found = np.arange(len(dataset.mode)), []
    for learned in weights:
        system.load_state_dict(learned, strict=False)
        found.append(predict(system, dataset, everything))
    return {task: np.stack([outputs[task].float().numpy() for outputs in found]) for task in found[0]}


def fill(values: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Frames of a clip [shape=(frames, columns)] with the mean where one is undefined; without any, one frame of means."""
    return np.where(np.isnan(values), mean, values) if len(values) else mean[None]
