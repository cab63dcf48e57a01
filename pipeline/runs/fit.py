"""The training loop that all networks share."""

import copy
import math

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from models import load_system
from models.system import TASKS, Config, System
from pipeline.base.command import UserError
from pipeline.runs.data import Dataset, even_batches, similar_batches
from pipeline.runs.recorded_steps import RecordedSteps, own_stream
from pipeline.runs.run_folder import Run, learned_state, learned_weights, make_system
from pipeline.runs.steps import train_epoch

CLIPS_AT_ONCE = 256  # of a prediction on a GPU, which small batches would leave idle


def check_labels(name: str, tasks: list[str], dataset: Dataset) -> None:
    """Raise UserError unless every split has clips, and train and valid have labels of every task that is learned."""
    for mode in ("train", "valid", "test"):
        if not len(dataset.split(mode)):
            raise UserError(f"no clip has mode '{mode}'; give some clips that mode in the manifest")
    for mode in ("train", "valid"):
        labels = dataset.batch_labels(dataset.split(mode))
        for task in tasks:
            if torch.isnan(labels[task]).all():
                column = "label" if task == "M" else f"label_{task}"
                raise UserError(
                    f"{name} learns task {task}, but no clip of the {mode} split has a {column}: "
                    "fill it in, or leave the system out"
                )


def check_batches(name: str, system: System, dataset: Dataset) -> None:
    """Raise UserError if a system with batch normalisation would get a training batch of one clip, which has no variance."""
    if not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in system.modules()):
        return
    cure = "leave the system out"
    if len(dataset.split("train")) < 2:
        raise UserError(f"{name} normalises over the clips of a batch, but only one has mode 'train': add some, or {cure}")
    if system.config.batch_size < 2:
        raise UserError(f"{name} normalises over the clips of a batch: set key 'batch_size' to 2 or more, or {cure}")


def predict(system: System, dataset: Dataset, indices: np.ndarray) -> dict[str, torch.Tensor]:
    """Outputs of the clips at `indices` in evaluation mode, of every task: {task: Tensor [shape=(n,)]}."""
    system.eval()
    batch_size = system.config.batch_size
    if not dataset.offsets["text"].is_cpu:
        batch_size = max(batch_size, CLIPS_AT_ONCE)
    # Clips of similar length share a batch, so that little of it is padding.
    order = np.argsort(dataset.lengths(system.config.similar_lengths or "text")[indices], kind="stable")
    place = np.argsort(order, kind="stable")
    with torch.no_grad():
        outputs = [system(dataset.batch(chosen)) for chosen in even_batches(indices[order], batch_size)]
        return {task: torch.cat([output[task] for output in outputs])[place].detach() for task in TASKS if task in outputs[0]}


def is_recorded(system: System, dataset: Dataset) -> bool:
    """Whether the training steps are recorded and replayed."""
    return system.repeats_steps and dataset.offsets["text"].is_cuda


def make_optimizer(system: System, device: torch.device) -> torch.optim.Optimizer:
    """Adam, or AdamW, of the system's groups of parameters; on a GPU its step can be recorded."""
    config = system.config
    optimizer_class = torch.optim.AdamW if config.decoupled_weight_decay else torch.optim.Adam
    groups = [{"lr": config.learning_rate, **group} for group in system.parameter_groups()]
    if device.type == "cpu":
        return optimizer_class(groups, fused=True)
    for group in groups:
        group["lr"] = torch.tensor(group["lr"], device=device)
    return optimizer_class(groups, fused=True, capturable=True)


def rate_factor(epoch: int, config: Config, pretraining: int = 0) -> float:
    """Share of the learning rate that an epoch, counted from 1, has: linear warm-up, then constant or falling to 0.

    Epochs of pre-training are a training of their own: it warms up and falls, and so does the one behind it.
    """
    last = pretraining
    if epoch > pretraining:
        epoch, last = epoch - pretraining, config.max_epochs - pretraining
    if epoch <= config.warmup_epochs:
        return epoch / (config.warmup_epochs + 1)
    if not config.decay:
        return 1.0
    done = (epoch - 1 - config.warmup_epochs) / (last - config.warmup_epochs)
    return 1 - done if config.decay == "linear" else 0.5 * (1 + math.cos(math.pi * done))


def fit(system: System, dataset: Dataset, seed: int) -> tuple[list[dict], int, list]:
    """Train until the validation loss has not fallen for `early_stop` epochs, and keep the best epoch's weights.

    Returns
    -------
    history : list of dict
        epoch, train_loss, valid_loss of every epoch; NaN of an epoch of pre-training.
    best_epoch : int
        The epoch whose weights the system has now.
    generated_labels : list of (epoch, dict)
        What the system's `generated_labels` gave after each epoch, if anything.

    Raises
    ------
    UserError
        If the validation loss is never finite.
    """
    config = system.config
    optimizer = make_optimizer(system, dataset.offsets["text"].device)
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    recorded = RecordedSteps(system, optimizer, dataset) if is_recorded(system, dataset) else None
    shuffle = np.random.default_rng(seed)
    train, valid = dataset.split("train"), dataset.split("valid")
    valid_labels = dataset.batch_labels(valid)
    history, generated, best_epoch, best_loss, best_state = [], [], 0, math.inf, {}
    progress = tqdm(range(1, config.max_epochs + 1), desc=f"train, seed {seed}", unit="epoch")
    for epoch in progress:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            rate *= rate_factor(epoch, config, system.pretraining_epochs)
            group["lr"] = group["lr"].fill_(rate) if torch.is_tensor(group["lr"]) else rate
        system.begin_epoch(epoch, dataset, train)
        order = shuffle.permutation(train)
        if config.similar_lengths:
            batches = similar_batches(order, config.batch_size, dataset.lengths(config.similar_lengths), shuffle)
        else:
            batches = even_batches(order, config.batch_size)
        train_loss = recorded.train_epoch(batches) if recorded else train_epoch(system, optimizer, dataset, batches)
        valid_loss = math.nan
        if epoch > system.pretraining_epochs:
            valid_loss = system.task_loss(predict(system, dataset, valid), valid_labels).item()
        history.append({"epoch": epoch, "train_loss": train_loss, "valid_loss": valid_loss})
        if labels := system.generated_labels():
            generated.append((epoch, {task: made.cpu() for task, made in labels.items()}))
        progress.set_postfix(train=f"{train_loss:.3f}", valid=f"{valid_loss:.3f}", best=best_epoch)
        if valid_loss < best_loss - 1e-6:
            best_epoch, best_loss = epoch, valid_loss
            best_state = {name: tensor.clone() for name, tensor in learned_state(system).items()}
        if epoch - max(best_epoch, system.pretraining_epochs) >= config.early_stop:
            progress.close()
            break
    if not best_state:
        raise UserError("the validation loss was never finite: lower learning_rate, or set gradient_clip")
    system.load_state_dict(best_state, strict=False)
    return history, best_epoch, generated


def train_system(
    name: str, config: Config, dataset: Dataset, encoder: nn.Module | None, seed: int, looked_at: np.ndarray
) -> Run:
    """Train a system by gradient; predictions are made for the clips at `looked_at`."""
    system = make_system(load_system(name), config, dataset, copy.deepcopy(encoder)).to(dataset.offsets["text"].device)
    check_labels(name, list(system.task_weights), dataset)
    check_batches(name, system, dataset)
    with own_stream(dataset.offsets["text"].device):
        history, best_epoch, generated = fit(system, dataset, seed)
    predictions = {}
    for task, values in predict(system, dataset, looked_at).items():
        predictions[task] = np.full(len(dataset.mode), np.nan, dtype=np.float32)
        predictions[task][looked_at] = values.float().cpu().numpy()
    parameters = sum(parameter.numel() for parameter in system.parameters() if parameter.requires_grad)
    return Run(name, seed, config, best_epoch, history, predictions, learned_weights(system), parameters, generated)
