"""Systems without training by gradient: SVM, ridge regression, and a constant. They learn the multimodal task M.

The SVM follows a report that reproduces Self-MM (its section 4.3: "the SVM of [F_t; I_a; I_v]", with the text encoder's
first-token vector, and audio and vision reduced to one vector each). Its kernel, its grid and the number that a class
stands for are chosen here.

`Inputs` hold of each clip the vectors 'text' (mean over tokens), 'first_token', 'audio' and 'vision' (means over time):
{name: np.ndarray [shape=(n, D)]}.
"""

from dataclasses import dataclass, field
from itertools import product

import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge as RidgeRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from models.metrics import classes
from models.system import MODALITIES

Inputs = dict[str, np.ndarray]
Setting = dict[str, float]


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
        train_inputs, train_labels = _labelled("train", self.join(train), train_labels)
        valid_inputs, valid_labels = _labelled("valid", self.join(valid), valid_labels)
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


def _labelled(split: str, inputs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    present = ~np.isnan(labels)
    if not present.any():
        raise ValueError(f"no clip of the {split} split has a label: fill it in, or leave the system out")
    return inputs[present], labels[present].astype(np.float64)


def _check_grid(key: str, values: list[float]) -> None:
    if not values or not min(values) > 0:
        raise ValueError(f"key '{key}': {values} should hold one or more numbers above 0")


@dataclass(frozen=True, kw_only=True)
class SVMConfig(EstimatorConfig):
    kind: str  # 'regression' or 'classification'
    modalities: list[str]
    penalty: list[float]  # C of the SVM, each tried
    epsilon: list[float] = field(default_factory=list)  # regression: width of the tube without loss, each tried
    cuts: list[float] = field(default_factory=list)  # classification: between the classes; a label on a cut is below it

    def __post_init__(self):
        if self.kind not in ("regression", "classification"):
            raise ValueError(f"key 'kind': '{self.kind}' is neither 'regression' nor 'classification'")
        if not self.modalities or len(set(self.modalities)) < len(self.modalities) or set(self.modalities) - set(MODALITIES):
            raise ValueError(
                f"key 'modalities': {self.modalities} should hold one or more of {', '.join(MODALITIES)}, each once"
            )
        _check_grid("penalty", self.penalty)
        own, other = ("epsilon", "cuts") if self.kind == "regression" else ("cuts", "epsilon")
        if getattr(self, other):
            raise ValueError(f"key '{other}' has no meaning in {self.kind}: leave it empty")
        if own == "epsilon":
            _check_grid("epsilon", self.epsilon)
        elif not self.cuts or sorted(set(self.cuts)) != self.cuts:
            raise ValueError(f"key 'cuts': {self.cuts} should hold one or more numbers, each larger than the one before")


class ClassMeans(SVC):
    """SVC of the classes of a label; a prediction is the mean train label of its class."""

    def __init__(self, cuts: tuple[float, ...] = (0.0,), C: float = 1.0):
        super().__init__(C=C, gamma="auto")
        self.cuts = cuts

    def fit(self, inputs: np.ndarray, labels: np.ndarray) -> "ClassMeans":
        """labels : np.ndarray [shape=(n,)] of numbers. Raises ValueError if they all lie in one class."""
        label_classes = classes(labels, self.cuts)
        if len(set(label_classes)) == 1:
            raise ValueError(f"key 'cuts': all train labels lie in one of the classes cut at {self.cuts}")
        super().fit(inputs, label_classes)
        self.means_ = np.array([labels[label_classes == number].mean() for number in self.classes_])
        return self

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Mean train label of each clip's class: np.ndarray [shape=(n,)]."""
        return self.means_[np.searchsorted(self.classes_, super().predict(inputs))]


class SVM(Estimator):
    """SVM with the kernel exp(-|x - y|^2 / D) on the joined, standardised vectors of width D.

    Of the text it sees the first-token vector. Classification is chosen by, and reports as 'valid_loss', the share of
    clips put in a wrong class.
    """

    config_class = SVMConfig

    def candidates(self) -> list[tuple[Setting, Pipeline]]:
        """Every penalty with every epsilon (regression), or every penalty (classification)."""
        if self.config.kind == "classification":
            cuts = tuple(self.config.cuts)
            return [({"penalty": C}, make_pipeline(StandardScaler(), ClassMeans(cuts, C))) for C in self.config.penalty]
        return [
            ({"penalty": C, "epsilon": epsilon}, make_pipeline(StandardScaler(), SVR(C=C, gamma="auto", epsilon=epsilon)))
            for C, epsilon in product(self.config.penalty, self.config.epsilon)
        ]

    def join(self, inputs: Inputs) -> np.ndarray:
        """The chosen modalities side by side."""
        return _side_by_side(inputs, ["first_token" if name == "text" else name for name in self.config.modalities])

    def valid_loss(self, labels: np.ndarray, predictions: np.ndarray) -> float:
        """Mean absolute error, or of classes the share of wrong ones."""
        if self.config.kind == "regression":
            return super().valid_loss(labels, predictions)
        cuts = tuple(self.config.cuts)  # the mean label of a class lies in that class
        return float(np.mean(classes(predictions, cuts) != classes(labels, cuts)))

    def learned(self) -> dict[str, np.ndarray]:
        """Scaling of the inputs, support vectors with their coefficients; of classes also their mean labels."""
        machine = self.model[-1]
        arrays = {
            **_scaling(self.model),
            "support_vectors": machine.support_vectors_,
            "coefficients": machine.dual_coef_,
            "intercept": machine.intercept_,
        }
        if self.config.kind == "classification":
            arrays |= {"support_count": machine.n_support_, "class": machine.classes_, "class_mean": machine.means_}
        return arrays


@dataclass(frozen=True, kw_only=True)
class RidgeConfig(EstimatorConfig):
    alpha: list[float]  # weight of the squared coefficients, each tried

    def __post_init__(self):
        _check_grid("alpha", self.alpha)


class Ridge(Estimator):
    """Linear regression with a penalty on the squared coefficients, of the mean vectors of all modalities."""

    config_class = RidgeConfig

    def candidates(self) -> list[tuple[Setting, Pipeline]]:
        """Every alpha."""
        return [({"alpha": alpha}, make_pipeline(StandardScaler(), RidgeRegression(alpha))) for alpha in self.config.alpha]

    def join(self, inputs: Inputs) -> np.ndarray:
        """The modalities side by side."""
        return _side_by_side(inputs, MODALITIES)

    def learned(self) -> dict[str, np.ndarray]:
        """Scaling of the inputs, coefficients, intercept."""
        return {**_scaling(self.model), "coefficients": self.model[-1].coef_, "intercept": self.model[-1].intercept_}


class Constant(Estimator):
    """The median of the train labels, whatever the clip: what a system has to beat in mean absolute error."""

    config_class = EstimatorConfig

    def candidates(self) -> list[tuple[Setting, Pipeline]]:
        """The one there is."""
        return [({}, make_pipeline(DummyRegressor(strategy="median")))]

    def join(self, inputs: Inputs) -> np.ndarray:
        """Nothing is seen but the number of clips."""
        return np.zeros((len(inputs["text"]), 1))

    def learned(self) -> dict[str, np.ndarray]:
        """The median."""
        return {"median": self.model[-1].constant_.ravel()}


def _side_by_side(inputs: Inputs, names: list[str] | tuple[str, ...]) -> np.ndarray:
    return np.concatenate([inputs[name] for name in names], axis=1).astype(np.float64)


def _scaling(model: Pipeline) -> dict[str, np.ndarray]:
    return {"input_mean": model[0].mean_, "input_scale": model[0].scale_}
