r"""Train one system with each of some seeds, choose the epoch on the validation split, evaluate once on the test split.

    python -m pipeline.train --dataset build/dataset.h5 --system tfn --config config/models/tfn.yaml \
        --override '{"batch_size": 16}' --seeds 1 12 --output build/runs/tfn

writes a run folder per seed, build/runs/tfn/1 and build/runs/tfn/12 (what they hold: pipeline/run_folder.py). The same seed,
data, versions, device and threads give the same bytes, whichever other seeds are trained beside it.

To add a system: a file in models/ with its `Config` and `System`, a line in models/__init__.py, a YAML file of values; see
docs/adding_a_system.md.
"""

import argparse
import copy
import ctypes
import dataclasses
import json
import math
import multiprocessing
import os
import random
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import yaml
from threadpoolctl import threadpool_limits
from torch import nn
from tqdm import tqdm

from models import SYSTEMS, load_system
from models.estimator import Estimator
from models.metrics import metrics_for
from models.system import TASKS, Config, System, build_config
from models.text_encoder import TextEncoder
from pipeline.command import UserError, run_command
from pipeline.data import Dataset, even_batches, read_dataset, similar_batches, time_means
from pipeline.io import replacing
from pipeline.kept import keep, key_of, take
from pipeline.run_folder import Run, learned_weights, load_encoder, make_system, write_run


def load_config(system: str, path: Path, override: str) -> Config:
    """Configuration of a system: the YAML file at `path`, single keys replaced by the JSON object `override`.

    Raises UserError naming file and key for a key that is unknown, missing or of the wrong type.
    """
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    changes = json.loads(override)
    if not isinstance(values, dict) or not isinstance(changes, dict):
        raise UserError(f"{path} and --override must each hold keys with values")
    try:
        return build_config(load_system(system).config_class, values | changes)
    except ValueError as error:
        where = f"{path} with override {override}" if changes else str(path)
        raise UserError(f"{where}: {error}") from error


def keep_freed_memory() -> None:
    """Let the C library (glibc) keep up to 256 MiB that one step has freed for the next.

    Memory fresh from the system has to be cleared page by page: a third of a step of TFN, a fifth of one of LF-DNN.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        trim_threshold, mmap_threshold = -1, -3
        mallopt(mmap_threshold, 2**28)
        mallopt(trim_threshold, 2**28)


def make_reproducible(seed: int, threads: int) -> None:
    """Seed every generator, allow deterministic algorithms only, and keep the memory that steps free for the next."""
    keep_freed_memory()
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # without it cuBLAS may add in another order each time
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # a guard against reading it, at a tenth of the time
    torch.set_num_threads(threads)
    threadpool_limits(threads)  # of numpy and scikit-learn, whose sums depend on them too
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


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
    # Clips of similar length share a batch, so that little of it is padding.
    order = np.argsort(dataset.lengths(system.config.similar_lengths or "text")[indices], kind="stable")
    place = np.argsort(order, kind="stable")
    with torch.no_grad():
        outputs = [system(dataset.batch(chosen)) for chosen in even_batches(indices[order], system.config.batch_size)]
        return {task: torch.cat([output[task] for output in outputs])[place].detach() for task in TASKS if task in outputs[0]}


def train_epoch(system: System, optimizer: torch.optim.Optimizer, dataset: Dataset, batches: list[np.ndarray]) -> float:
    """One pass over the clips in `batches`; returns the mean training loss.

    Gradients of the batches of one step are added up, and entries clipped after each batch, as in MMSA's trainers.
    """
    system.train()
    config = system.config
    device = dataset.offsets["text"].device.type
    total = torch.zeros((), dtype=torch.float64, device=device)  # read at the end alone: a GPU would be waited for
    for start in range(0, len(batches), config.accumulate):
        step = batches[start : start + config.accumulate]
        optimizer.zero_grad()
        for chosen in step:
            with torch.autocast(device, torch.bfloat16, enabled=config.precision == "bf16"):
                loss = system.training_loss(dataset, chosen)
            loss.backward()
            total += loss.detach().double() * len(chosen)
            if config.gradient_clip_value:
                torch.nn.utils.clip_grad_value_(system.parameters(), config.gradient_clip_value)
        if config.gradient_clip:
            torch.nn.utils.clip_grad_norm_(system.parameters(), config.gradient_clip)
        optimizer.step()
    return total.item() / sum(len(chosen) for chosen in batches)


def rate_factor(epoch: int, config: Config) -> float:
    """Share of the learning rate that an epoch, counted from 1, has: linear warm-up, then constant or a cosine."""
    if epoch <= config.warmup_epochs:
        return epoch / (config.warmup_epochs + 1)
    if not config.cosine_decay:
        return 1.0
    done = (epoch - 1 - config.warmup_epochs) / (config.max_epochs - config.warmup_epochs)
    return 0.5 * (1 + math.cos(math.pi * done))


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
    optimizer_class = torch.optim.AdamW if config.decoupled_weight_decay else torch.optim.Adam
    optimizer = optimizer_class(system.parameter_groups(), lr=config.learning_rate, fused=True)
    rates = [group["lr"] for group in optimizer.param_groups]
    shuffle = np.random.default_rng(seed)
    train, valid = dataset.split("train"), dataset.split("valid")
    valid_labels = dataset.batch_labels(valid)
    history, generated, best_epoch, best_loss, best_state = [], [], 0, math.inf, {}
    progress = tqdm(range(1, config.max_epochs + 1), desc=f"train, seed {seed}", unit="epoch")
    for epoch in progress:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * rate_factor(epoch, config)
        system.begin_epoch(epoch, dataset, train)
        order = shuffle.permutation(train)
        if config.similar_lengths:
            batches = similar_batches(order, config.batch_size, dataset.lengths(config.similar_lengths), shuffle)
        else:
            batches = even_batches(order, config.batch_size)
        train_loss = train_epoch(system, optimizer, dataset, batches)
        valid_loss = math.nan
        if epoch > system.pretraining_epochs:
            valid_loss = system.task_loss(predict(system, dataset, valid), valid_labels).item()
        history.append({"epoch": epoch, "train_loss": train_loss, "valid_loss": valid_loss})
        if labels := system.generated_labels():
            generated.append((epoch, {task: made.cpu() for task, made in labels.items()}))
        progress.set_postfix(train=f"{train_loss:.3f}", valid=f"{valid_loss:.3f}", best=best_epoch)
        if valid_loss < best_loss - 1e-6:
            best_epoch, best_loss = epoch, valid_loss
            best_state = {name: tensor.clone() for name, tensor in learned_weights(system).items()}
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
    history, best_epoch, generated = fit(system, dataset, seed)
    predictions = {}
    for task, values in predict(system, dataset, looked_at).items():
        predictions[task] = np.full(len(dataset.mode), np.nan, dtype=np.float32)
        predictions[task][looked_at] = values.float().cpu().numpy()
    parameters = sum(parameter.numel() for parameter in system.parameters() if parameter.requires_grad)
    return Run(name, seed, config, best_epoch, history, predictions, learned_weights(system), parameters, generated)


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


def train_seed(seed: int, arguments: argparse.Namespace, config: object, dataset: Dataset, encoder: nn.Module | None) -> str:
    """Train with one seed and write its run folder; returns a line about it."""
    make_reproducible(seed, arguments.threads)
    name = arguments.system
    hidden = dataset.split("test") if arguments.validation_only else []
    looked_at = np.setdiff1d(np.arange(len(dataset.mode)), hidden)
    if issubclass(load_system(name), Estimator):
        run = train_estimator(name, config, dataset, seed, looked_at)
    else:
        run = train_system(name, config, dataset, encoder, seed, looked_at)
    device_name = torch.cuda.get_device_name() if dataset.offsets["text"].is_cuda else "cpu"
    with replacing(arguments.output / str(seed)) as folder:
        metrics = write_run(folder, run, dataset, device_name, arguments.threads)
    if arguments.code:
        keep(*places(arguments.output, seed), arguments.keys[seed])
    split = "valid" if arguments.validation_only else "test"
    _, names = metrics_for(dataset.label_range)
    scores = [
        f"{split} {task}: " + ", ".join(f"{metric} {values[metric]:.3f}" for metric in names)
        for task, values in metrics[split].items()
    ]
    return f"{name}, seed {seed}, epoch {run.best_epoch}, " + "; ".join(scores)


def places(output: Path, seed: int) -> tuple[Path, Path]:
    """The run folder of a seed, and where it is kept for a later call."""
    return output / str(seed), output / ".kept" / str(seed)


def seed_key(seed: int, arguments: argparse.Namespace, config: object) -> str:
    """Digest of all that the run folder of a seed depends on."""
    values = {"seed": seed, "system": arguments.system, "config": dataclasses.asdict(config), "threads": arguments.threads}
    values |= {"validation_only": arguments.validation_only, "encoder": arguments.encoder}
    values |= {"torch": torch.__version__, "numpy": np.__version__, "python": sys.version}
    values["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    weights = sorted(Path(arguments.encoder).glob("*.safetensors")) if arguments.encoder else []
    return key_of(values, [arguments.dataset, *weights, *arguments.code])


def train(arguments: argparse.Namespace) -> None:
    """Train as the command line says."""
    config = load_config(arguments.system, arguments.config, arguments.override)
    if arguments.code:
        arguments.keys = {seed: seed_key(seed, arguments, config) for seed in arguments.seeds}
        kept = {seed for seed, key in arguments.keys.items() if take(*places(arguments.output, seed)[::-1], key)}
        if kept:
            print(
                f"{arguments.system}: nothing that seeds {sorted(kept)} depend on has changed, they are kept", file=sys.stderr
            )
        arguments.seeds = [seed for seed in arguments.seeds if seed not in kept]
        if not arguments.seeds:
            return
    system_class = load_system(arguments.system)
    is_network = not issubclass(system_class, Estimator)
    device = torch.device("cuda" if torch.cuda.is_available() and is_network else "cpu")
    # One thread until the seeds part ways: a process must not be forked once it has threads of its own.
    torch.set_num_threads(1)
    means = system_class.means_suffice(config) if is_network else ("audio", "vision")
    reads_tokens = is_network and system_class.reads_tokens
    dataset = read_dataset(arguments.dataset, device, means, reads_tokens)
    encoder = None
    if reads_tokens:
        if not arguments.encoder:
            raise UserError(f"{arguments.system} fine-tunes the text encoder: give it with --encoder")
        if dataset.encoder and Path(dataset.encoder).name != Path(arguments.encoder).name:
            raise UserError(
                f"{arguments.dataset} holds the tokens of the encoder '{dataset.encoder}', not of '{arguments.encoder}': "
                "give that encoder, or extract the text features anew with this one"
            )
        encoder = load_encoder(arguments.encoder)
        if config.frozen_layers:
            frozen = TextEncoder(copy.deepcopy(encoder), config).to(device).eval()
            dataset = dataset.with_token_states(frozen.frozen_states)
    if arguments.processes == 1 or len(arguments.seeds) == 1 or device.type == "cuda":
        for seed in arguments.seeds:
            print(train_seed(seed, arguments, config, dataset, encoder), file=sys.stderr)
        return
    # Forked processes share the data set; on a GPU one after the other is as fast.
    context = multiprocessing.get_context("fork")
    shared = (arguments, config, dataset, encoder)
    with ProcessPoolExecutor(arguments.processes, mp_context=context, initializer=_remember, initargs=shared) as pool:
        for line in pool.map(_train_remembered, arguments.seeds):
            print(line, file=sys.stderr)


def _remember(*shared: object) -> None:
    """Keep what the processes share; a forked process gets it without a copy."""
    global _shared
    _shared = shared


def _train_remembered(seed: int) -> str:
    return train_seed(seed, *_shared)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--system", required=True, choices=list(SYSTEMS))
    parser.add_argument("--config", type=Path, required=True, help="YAML file with the system's values")
    parser.add_argument("--override", default="{}", help="JSON object of values that replace those of the YAML file")
    parser.add_argument("--encoder", default="", help="folder or hub name of the text encoder, if the system fine-tunes it")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--processes", type=int, default=1, help="seeds trained at the same time (CPU)")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--validation-only", action="store_true", help="leave the test split alone, as for choosing values")
    parser.add_argument(
        "--code",
        nargs="+",
        default=[],
        help="files of code: a seed for which they, the data and the values are those of an earlier call is not trained again",
    )
    parser.add_argument("--output", type=Path, required=True, help="a run folder per seed is made in it")
    arguments = parser.parse_args()
    try:
        train(arguments)
    except (ValueError, yaml.YAMLError) as error:  # a system finds that its values or the labels do not do
        raise UserError(str(error)) from error


if __name__ == "__main__":
    run_command(main)
