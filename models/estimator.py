"""What every system is that is fitted at once, not by gradient: one vector per clip in, one number out.

`Inputs` hold of each clip the vectors 'text' (mean over tokens), 'first_token', 'audio' and 'vision' (means over time):
{name: np.ndarray [shape=(n, D)]}.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.pipeline import Pipeline

Setting = dict[str, float]
Inputs = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class EstimatorConfig:
    """Base of the configurations of estimators; `models.system.build_config` makes them from plain values."""


class Estimator:
    """Base of the systems that are fitted at once: every setting on train, the best of them on valid.

    A subclass defines `candidates`, `join` and `learned`. Clips without a label (NaN) count neither in fitting nor in
    the choice. Nothing is drawn at random.
    """

    config_class: type[EstimatorConfig]

    def __init__(self, config: EstimatorConfig):
        self.config = config

    def candidates(self) -> list[tuple[Setting, Pipeline]]:
        """The settings to try, each with its model, not fitted."""
        raise NotImplementedError

    def join(self, inputs: Inputs) -> np.ndarray:
        """What the model sees of the clips: np.ndarray [shape=(n, D)]."""
        raise NotImplementedError

    def learned(self) -> dict[str, np.ndarray]:
        """The numbers of the fitted model."""
        raise NotImplementedError

    def valid_loss(self, labels: np.ndarray, predictions: np.ndarray) -> float:
        """What chooses the setting: the mean absolute error."""
        return float(np.mean(np.abs(predictions - labels)))

    def fit(self, train: Inputs, train_labels: np.ndarray, valid: Inputs, valid_labels: np.ndarray) -> list[dict]:
        """Fit each setting on train and keep the one with the smallest loss on valid.

        Of equal losses the one with the smaller mean absolute error is kept, of equal errors the first: on few clips
        several settings can put the same number into wrong classes.

        Parameters
        ----------
        train, valid : Inputs
        train_labels, valid_labels : np.ndarray [shape=(n,)]
            NaN where a label is absent.

        Returns
        -------
        list of dict
            The values of each setting and its 'valid_loss'.

        Raises
        ------
        ValueError
            If a split has no label, or an input is not finite.
        """
        train_inputs, train_labels = labelled("train", self.join(train), train_labels)
        valid_inputs, valid_labels = labelled("valid", self.join(valid), valid_labels)
        history, smallest = [], (np.inf, np.inf)
        for setting, model in self.candidates():
            model.fit(train_inputs, train_labels)
            predictions = model.predict(valid_inputs)
            loss, error = self.valid_loss(valid_labels, predictions), float(np.mean(np.abs(predictions - valid_labels)))
            history.append({**setting, "valid_loss": loss})
            if (loss, error) < smallest:
                smallest, self.chosen, self.setting, self.model = (loss, error), len(history), setting, model
        return history

    def predict(self, inputs: Inputs) -> np.ndarray:
        """Prediction of each clip: float64 np.ndarray [shape=(n,)]."""
        return self.model.predict(self.join(inputs))

    def arrays(self) -> dict[str, np.ndarray]:
        """The chosen setting and all numbers of the model fitted with it."""
        values = {**self.setting, **self.learned()}
        return {name: np.ascontiguousarray(value) for name, value in values.items()}


def labelled(split: str, inputs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    present = ~np.isnan(labels)
    if not present.any():
        raise ValueError(f"no clip of the {split} split has a label: fill it in, or leave the system out")
    return inputs[present], labels[present].astype(np.float64)
