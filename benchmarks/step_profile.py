"""Where the time of a training step goes on the processor: the operations with the largest share, system by system.

    python -m benchmarks.step_profile --work /tmp/profile --systems tfn mult lmf self_mm mlf_dnn --threads 2

The data have the shape of CH-SIMS, with a tenth of its clips; the values are those of config/models.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")  # read when torch starts

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch.profiler import ProfilerActivity, profile  # noqa: E402

from benchmarks.gpu_speed import Trial, make_data, make_encoder  # noqa: E402
from models import load_system  # noqa: E402
from pipeline.runs import fit  # noqa: E402
from pipeline.runs.data import similar_batches  # noqa: E402

SHOWN = 6


def shares(trial: Trial) -> tuple[float, list[tuple[str, float]]]:
    """Seconds of an epoch behind the first, and the share of its operations in what they take in all."""
    config, dataset = trial.config, trial.data
    system = fit.make_system(load_system(trial.name), config, dataset, trial.encoder)
    optimizer = fit.make_optimizer(system, torch.device("cpu"))
    train = dataset.split("train")

    def epoch(number: int) -> None:
        system.begin_epoch(number, dataset, train)
        lengths = dataset.lengths(config.similar_lengths or "text")
        batches = similar_batches(train, config.batch_size, lengths, np.random.default_rng(0))
        fit.train_epoch(system, optimizer, dataset, batches)

    epoch(1)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        epoch(2)
    events = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return total / 1e6, [(event.key, event.self_cpu_time_total / total) for event in events[:SHOWN]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--systems", nargs="+", default=["tfn", "mult", "lmf", "self_mm", "mlf_dnn"])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    make_data(arguments.work / "dataset.h5", 0.1)
    make_encoder(arguments.work / "bert-random")
    for name in arguments.systems:
        seconds, found = shares(Trial(name, arguments.work / "dataset.h5", arguments.work / "bert-random", 2))
        print(f"{name}: {seconds:.2f} s; " + ", ".join(f"{operation} {share:.0%}" for operation, share in found), flush=True)


if __name__ == "__main__":
    main()
