r"""Train one system with each of some seeds, choose the epoch on the validation split, evaluate once on the test split.

    python -m pipeline.train --dataset build/dataset.h5 --system tfn --config config/models/tfn.yaml \
        --override '{"batch_size": 16}' --seeds 1 12 --output build/runs/tfn

writes a run folder per seed, build/runs/tfn/1 and build/runs/tfn/12 (what they hold: pipeline/runs/run_folder.py). The same
seed, data, versions, device and threads give the same bytes, whichever other seeds are trained beside it.

To add a system: a file in models/ with its `Config` and `System`, a line in models/__init__.py, a YAML file of values; see
docs/adding_a_system.md.
"""

import argparse
import copy
import ctypes
import dataclasses
import json
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

from models import SYSTEMS, load_system
from models.estimator import Estimator
from models.metrics import metrics_for
from models.system import Config, build_config
from models.text_encoder import TextEncoder
from pipeline.base.command import UserError, run_command
from pipeline.base.io import replacing
from pipeline.base.kept import keep, key_of, take
from pipeline.runs.data import Dataset, read_dataset
from pipeline.runs.fit import train_system
from pipeline.runs.fit_estimator import train_estimator
from pipeline.runs.run_folder import load_encoder, write_run


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


def read_inputs(
    name: str, config: object, path: Path, encoder_name: str, device: torch.device
) -> tuple[Dataset, nn.Module | None]:
    """The data set as a system needs it, and the text encoder if the system fine-tunes it."""
    system_class = load_system(name)
    if issubclass(system_class, Estimator):
        return read_dataset(path, device, ("audio", "vision")), None
    dataset = read_dataset(path, device, system_class.means_suffice(config), system_class.reads_tokens, in_memory=False)
    if not system_class.reads_tokens:
        return dataset, None
    if not encoder_name:
        raise UserError(f"{name} fine-tunes the text encoder: give it with --encoder")
    if dataset.encoder and Path(dataset.encoder).name != Path(encoder_name).name:
        raise UserError(
            f"{path} holds the tokens of the encoder '{dataset.encoder}', not of '{encoder_name}': "
            "give that encoder, or extract the text features anew with this one"
        )
    encoder = load_encoder(encoder_name)
    if config.frozen_layers:
        frozen = TextEncoder(copy.deepcopy(encoder), config).to(device).eval()
        dataset = dataset.with_token_states(frozen.frozen_states)
    return dataset, encoder


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
    is_network = not issubclass(load_system(arguments.system), Estimator)
    device = torch.device("cuda" if torch.cuda.is_available() and is_network else "cpu")
    # One thread until the seeds part ways: a process must not be forked once it has threads of its own.
    torch.set_num_threads(1)
    dataset, encoder = read_inputs(arguments.system, config, arguments.dataset, arguments.encoder, device)
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
