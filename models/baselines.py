"""Systems without training by gradient: SVM, ridge regression, and a constant. They learn the multimodal task M.

The SVM follows a report that reproduces Self-MM (its section 4.3: "the SVM of [F_t; I_a; I_v]", with the text encoder's
first-token vector, and audio and vision reduced to one vector each). Its kernel, its grid and the number that a class
stands for are chosen here.
"""

from dataclasses import dataclass, field
from itertools import product

import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge as RidgeRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from models.estimator import Estimator, EstimatorConfig, Inputs, Setting
from models.metrics import classes
from models.system import MODALITIES


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
