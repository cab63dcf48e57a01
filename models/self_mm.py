"""Self-MM, Self-Supervised Multi-task learning (Yu et al., AAAI 2021): unimodal labels made out of the multimodal one."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.layers import RecurrentSubNet
from models.system import TASK_MODALITY, TASKS, Batch, Clips, System
from models.text_encoder import FineTuningConfig, TextEncoder, fine_tuning_groups

RECURRENT = ("audio", "vision")


@dataclass(frozen=True, kw_only=True)
class SelfMMConfig(FineTuningConfig):
    hidden: dict[str, int]  # state of the LSTM of audio and of vision
    out: dict[str, int]  # width of the representation of audio and of vision; that of the text is the encoder's
    lstm_dropout: dict[str, float]  # behind the LSTM of audio and of vision
    features: dict[str, int]  # width of the features F* of each task
    feature_dropout: dict[str, float]  # before them
    subnet_learning_rate: dict[str, float]  # of the networks of audio and of vision
    subnet_weight_decay: dict[str, float]

    def __post_init__(self):
        super().__post_init__()
        for key in ("hidden", "out", "lstm_dropout", "subnet_learning_rate", "subnet_weight_decay"):
            if set(getattr(self, key)) != set(RECURRENT):
                raise ValueError(f"key '{key}' needs one value for each of {', '.join(RECURRENT)}")
        for key in ("features", "feature_dropout"):
            if set(getattr(self, key)) != set(TASKS):
                raise ValueError(f"key '{key}' needs one value for each of {', '.join(TASKS)}")


def class_centres(features: Tensor, labels: Tensor) -> Tensor:
    """Mean features of the clips with a label above 0 and of those below 0: Tensor [shape=(2, D)].

    A label of 0, or an absent one (NaN), counts on neither side; the centre of a side without clips is NaN.
    features : [shape=(n, D)]; labels : [shape=(n,)].
    """
    sides = torch.stack([labels > 0, labels < 0]).to(features.dtype)
    return sides @ features / sides.sum(1, keepdim=True)


def relative_distance(features: Tensor, centres: Tensor) -> Tensor:
    """alpha = (D_n - D_p) / (D_p + epsilon) (section "Relative Distance Value"): [B, D], [2, D] -> [B].

    D_p and D_n are the distances to the positive and to the negative centre; the paper's factor 1 / sqrt(D) cancels.
    """
    positive, negative = (torch.linalg.vector_norm(features - centre, dim=1) for centre in centres)
    return (negative - positive) / (positive + 1e-8)


def label_shift(labels: Tensor, alpha_m: Tensor, alpha_s: Tensor) -> Tensor:
    """What a unimodal label differs by from the multimodal one (section "Shifting Value"), all [shape=(B,)].

    The mean of the two ways to carry the relation of the distances over to the labels: as a ratio and as a difference.
    """
    # The ratio is finite where the fusion's features are as far from one centre as from the other, too.
    divisor = torch.where(alpha_m.abs() < 1e-8, 1e-8, alpha_m)
    return 0.5 * (alpha_s / divisor - 1) * labels + 0.5 * (alpha_s - alpha_m)


def momentum(previous: Tensor, new: Tensor, epoch: int | Tensor) -> Tensor:
    """Labels after `epoch` (from 2 on): the later, the less they move ("Momentum-based Update Policy")."""
    return (epoch - 1) / (epoch + 1) * previous + 2 / (epoch + 1) * new


class LabelGeneration:
    """Features and labels of all train clips (the paper's ULGM); a row is a clip's place in the train split.

    Attributes
    ----------
    labels : {task: Tensor [shape=(n,)]}; those of T, A and V begin as M and change from epoch 2 on. NaN stays NaN.
    features : {task: Tensor [shape=(n, D)]}, as the clip's last training batch gave them.
    """

    def __init__(self, train: np.ndarray, labels: Tensor, widths: dict[str, int], label_range: tuple[float, float]):
        self.label_range = label_range
        row = np.full(train.max() + 1, -1)
        row[train] = np.arange(len(train))
        self.row = torch.as_tensor(row, device=labels.device)
        self.labels = {task: labels.clone() for task in TASKS}
        self.features = {task: labels.new_zeros(len(train), width) for task, width in widths.items()}

    def rows(self, indices: np.ndarray | Tensor) -> Tensor:
        return self.row[torch.as_tensor(indices, device=self.row.device)]

    def update(self, rows: Tensor, features: dict[str, Tensor], epoch: int | Tensor | None) -> None:
        """Give the clips in `rows` new labels, judged by all clips' stored features; then store theirs.

        epoch : from 2 on; None in epoch 1, in which labels stay as they are.
        """
        if epoch is not None:
            alpha = {
                task: relative_distance(values, class_centres(self.features[task], self.labels[task]))
                for task, values in features.items()
            }
            label = self.labels["M"][rows]
            for task in TASK_MODALITY:
                shifted = label + label_shift(label, alpha["M"], alpha[task])
                previous = self.labels[task][rows]
                moved = momentum(previous, shifted.clamp(*self.label_range), epoch)
                # No centre of one sign, no distance to it: such a label stays as it was.
                self.labels[task][rows] = torch.where(moved.isnan(), previous, moved)
        for task, values in features.items():
            self.features[task][rows] = values


class SelfMM(System):
    """Fusion by concatenation, and a task per modality whose labels the system generates for itself.

    Of the tasks only M is learned from labels. The loss is the mean absolute error of M plus, per modality, that of its
    task weighted by tanh |y_s - y_m|. A clip's unimodal labels are y_m until the end of its turn in epoch 2, so that in
    epochs 1 and 2 the heads and features of T, A and V do not learn. Features are Linear and ReLU and heads one linear
    layer, as in the paper (the public code has a further hidden layer in each head). A clip without an M label takes no
    part.
    """

    config_class = SelfMMConfig
    reads_tokens = True

    def __init__(self, config: SelfMMConfig, widths: dict[str, int], lengths: dict[str, int], encoder: TextEncoder):
        super().__init__(config, {"M": 1.0})
        self.encoder = encoder
        self.subnets = nn.ModuleDict(
            {m: RecurrentSubNet(widths[m], config.hidden[m], config.out[m], config.lstm_dropout[m]) for m in RECURRENT}
        )
        inputs = {"T": encoder.width, "A": config.out["audio"], "V": config.out["vision"]}
        inputs["M"] = sum(inputs.values())
        self.features = nn.ModuleDict(
            {
                task: nn.Sequential(
                    nn.Dropout(config.feature_dropout[task]), nn.Linear(inputs[task], config.features[task]), nn.ReLU()
                )
                for task in TASKS
            }
        )
        self.heads = nn.ModuleDict({task: nn.Linear(config.features[task], 1) for task in TASKS})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Outputs M, T, A, V; and the features of each, as 'features_M' etc. [shape=(B, D)]."""
        inputs = {"T": self.encoder(batch["tokens"]).values[:, 0]}
        inputs |= {task: self.subnets[m](batch[m]) for task, m in TASK_MODALITY.items() if m in RECURRENT}
        inputs["M"] = torch.cat(list(inputs.values()), dim=1)
        features = {task: self.features[task](inputs[task]) for task in TASKS}
        outputs = {task: self.heads[task](features[task]).flatten() for task in TASKS}
        return outputs | {f"features_{task}": values for task, values in features.items()}

    def begin_epoch(self, epoch: int, clips: Clips, train: np.ndarray) -> None:
        if epoch == 1:
            labels = clips.batch_labels(train)["M"]
            self.generation = LabelGeneration(train, labels, self.config.features, self.label_range)
            self.epoch = torch.ones((), dtype=torch.float64, device=labels.device)  # a tensor: steps on a GPU are replayed
        self.epoch.fill_(epoch)
        self.stage = int(epoch > 1)  # labels change from epoch 2 on

    def training_loss(self, clips: Clips, indices: np.ndarray | Tensor) -> Tensor:
        """Loss with the labels as they are; then new ones are made of the batch's features (algorithm 1 of the paper)."""
        outputs = self(clips.batch(indices))
        rows = self.generation.rows(indices)
        labels = {task: values[rows] for task, values in self.generation.labels.items()}
        loss = self.task_loss(outputs, labels)
        present = ~torch.isnan(labels["M"])
        for task in TASK_MODALITY:
            weight = (labels[task] - labels["M"]).abs().tanh().masked_fill(~present, 0)
            error = (outputs[task] - labels[task].nan_to_num()).abs()
            loss = loss + (weight * error).sum() / present.sum().clamp_min(1)
        features = {task: outputs[f"features_{task}"].detach().to(labels[task].dtype) for task in TASKS}
        self.generation.update(rows, features, self.epoch if self.stage else None)
        return loss

    def generated_labels(self) -> dict[str, Tensor]:
        return {task: self.generation.labels[task].clone() for task in TASK_MODALITY}

    def parameter_groups(self) -> list[dict]:
        """The encoder, the network of audio, that of vision, and the rest, each with its learning rate and weight decay."""
        config = self.config
        encoder, _ = fine_tuning_groups(self, config)
        subnets = [
            {
                "params": list(subnet.parameters()),
                "lr": config.subnet_learning_rate[modality],
                "weight_decay": config.subnet_weight_decay[modality],
            }
            for modality, subnet in self.subnets.items()
        ]
        rest = [*self.features.parameters(), *self.heads.parameters()]
        return [encoder, *subnets, {"params": rest, "weight_decay": config.weight_decay}]
