"""Seconds per training epoch and peak memory, against another program on the same data and the same machine.

    .venv/bin/python -m benchmarks.train_speed --features unaligned_39.pkl --systems lf_dnn tfn --threads 2 --work build/speed \
        --peer-python peer/venv/bin/python --peer-script bench_mmsa.py

`--features` is a feature file as `pipeline.import_pickle` reads it, with true lengths. Ours and the peer's run one after the
other, system by system and round by round, each in a process of its own with the same number of threads; without a peer
ours run alone. The values are those of config/models/. Printed per system, and written to WORK/train_speed.csv: wall and
processor seconds of an epoch's training (median over all epochs but the first of each process), peak memory (MiB), and
how many times as much the peer takes. The peak counts the whole process: libraries, data, model, validation.

The peer's script is called as `PYTHON SCRIPT run --work FOLDER --model SYSTEM --epochs N --threads N`, FOLDER being that of
the feature file, and must print a line of JSON with train_s and train_cpu_s (seconds, per epoch) and peak_rss_mib.

`--whole-process` compares five seeds of LF-DNN, 20 epochs each, from start to end: in one command, in five, and the peer's.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

SEEDS = ["1", "12", "123", "1234", "12345"]
SEED_EPOCHS = 20
CONFIGS = Path(__file__).parents[1] / "config" / "models"
PEER_NAMES = {"mag_bert": "bert_mag"}


def train_command(system: str, dataset: Path, output: Path, epochs: int, encoder: str, override: str) -> list[str]:
    """Arguments of `pipeline.train` for a number of epochs that early stopping does not cut."""
    values = json.loads(override) | {"max_epochs": epochs, "early_stop": epochs}
    config = ["--config", str(CONFIGS / f"{system}.yaml"), "--override", json.dumps(values)]
    command = ["--dataset", str(dataset), "--system", system, *config, "--output", str(output)]
    return command + (["--encoder", encoder] if encoder else [])


def time_training(command: list[str]) -> None:
    """Run `pipeline.train` in this process and print the seconds of each epoch's training and the peak memory as JSON."""
    import pipeline.train as training  # here alone: the process that compares needs none of it
    from pipeline.runs import fit

    result = {"train_s": [], "train_cpu_s": []}
    train_epoch = fit.train_epoch

    def timed(*arguments: object) -> float:
        wall, processor = time.perf_counter(), time.process_time()
        loss = train_epoch(*arguments)
        result["train_s"].append(time.perf_counter() - wall)
        result["train_cpu_s"].append(time.process_time() - processor)
        return loss

    fit.train_epoch = timed
    sys.argv[1:] = command
    training.main()
    result["peak_rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


def run_and_read(command: list[str], threads: int) -> dict:
    """Run a command; the JSON object of the last line that it prints.

    Raises SystemExit with the end of its messages if it fails.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    lines = done.stdout.strip().splitlines()
    result = json.loads(lines[-1]) if done.returncode == 0 and lines else {}
    if not result.get("train_s"):
        raise SystemExit(f"{' '.join(command)} failed: {result.get('error') or done.stderr[-2000:]}")
    return result


def summarise(results: list[dict]) -> dict[str, float]:
    """Median seconds of the epochs behind the first of each process, and the largest peak."""
    wall, processor = (
        statistics.median(seconds for result in results for seconds in result[key][1:]) for key in ("train_s", "train_cpu_s")
    )
    return {"wall_s": wall, "cpu_s": processor, "peak_mib": max(result["peak_rss_mib"] for result in results)}


def compare(system: str, dataset: Path, arguments: argparse.Namespace) -> dict:
    """A row of the table: both sides' figures and their ratios."""
    own_options = ["--seeds", "1", "--threads", str(arguments.threads)]
    output = arguments.work / "runs" / system
    command = train_command(system, dataset, output, arguments.epochs, arguments.encoder, arguments.override)
    own_command = [sys.executable, "-m", "benchmarks.train_speed", "--time", json.dumps(command + own_options)]
    peer_command = peer_run(PEER_NAMES.get(system, system), arguments.epochs, arguments)
    own, peer = [], []
    for _ in range(arguments.rounds):
        own.append(run_and_read(own_command, arguments.threads))
        if peer_command:
            peer.append(run_and_read(peer_command, arguments.threads))
    row = {"system": system} | {f"own_{name}": value for name, value in summarise(own).items()}
    if peer:
        row |= {f"peer_{name}": value for name, value in summarise(peer).items()}
        row |= {f"ratio_{name}": row[f"peer_{name}"] / row[f"own_{name}"] for name in ("wall_s", "cpu_s", "peak_mib")}
    return row


def peer_run(model: str, epochs: int, arguments: argparse.Namespace) -> list[str]:
    """The peer's command; empty without a peer."""
    if not arguments.peer_python:
        return []
    options = ["--work", str(arguments.features.parent), "--model", model, "--epochs", str(epochs)]
    return [arguments.peer_python, arguments.peer_script, "run", *options, "--threads", str(arguments.threads)]


def compare_whole_process(dataset: Path, arguments: argparse.Namespace) -> dict:
    """Wall seconds of five seeds of LF-DNN, from the start of the first process to the end of the last: in one command
    with as many processes as threads, one thread each; as five commands with all threads; and the peer's five runs."""
    command = train_command("lf_dnn", dataset, arguments.work / "runs" / "lf_dnn", SEED_EPOCHS, "", arguments.override)
    command = [sys.executable, "-m", "pipeline.train", *command]
    threads = str(arguments.threads)
    together = [[*command, "--seeds", *SEEDS, "--processes", threads, "--threads", "1"]]
    apart = [[*command, "--seeds", seed, "--threads", threads] for seed in SEEDS]
    ways = {"own_together_s": together, "own_apart_s": apart}
    if arguments.peer_python:
        ways["peer_apart_s"] = [peer_run("lf_dnn", SEED_EPOCHS, arguments)] * len(SEEDS)
    row = {"system": f"lf_dnn, {len(SEEDS)} seeds, {SEED_EPOCHS} epochs"}
    for name, commands in ways.items():
        start = time.perf_counter()
        for each in commands:
            subprocess.run(each, capture_output=True, check=True)
        row[name] = time.perf_counter() - start
    return row


def main() -> None:
    if sys.argv[1:2] == ["--time"]:  # a process that `compare` started
        time_training(json.loads(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, required=True, help="feature file, a pickle")
    parser.add_argument("--systems", nargs="+", default=["lf_dnn", "mlf_dnn", "lmf", "ef_lstm", "mfn", "tfn", "mult"])
    parser.add_argument("--epochs", type=int, default=3, help="of each process, at least 2: the first is not counted")
    parser.add_argument("--rounds", type=int, default=1, help="processes of each side, in turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--override", default="{}", help="JSON object of values that replace those of config/models/ in ours")
    parser.add_argument("--encoder", default="", help="text encoder of a system that fine-tunes it")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is made")
    parser.add_argument("--whole-process", action="store_true")
    parser.add_argument("--peer-python", default="")
    parser.add_argument("--peer-script", default="")
    arguments = parser.parse_args()
    if arguments.epochs < 2 or bool(arguments.peer_python) != bool(arguments.peer_script):
        parser.error("--epochs is 2 or more; --peer-python and --peer-script come together")
    dataset = arguments.work / "dataset.h5"
    if not dataset.exists():
        options = ["--features", str(arguments.features), "--corpus", "timing", "--label-range", "-1", "1"]
        subprocess.run([sys.executable, "-m", "pipeline.import_pickle", *options, "--output", str(dataset)], check=True)
    if arguments.whole_process:
        rows = [compare_whole_process(dataset, arguments)]
    else:
        rows = []
        for system in arguments.systems:
            rows.append(compare(system, dataset, arguments))
            print(json.dumps({name: round(value, 3) if name != "system" else value for name, value in rows[-1].items()}))
    table = pd.DataFrame(rows)
    table.to_csv(arguments.work / "train_speed.csv", index=False, float_format="%.3f")
    print(table.to_string(index=False, float_format="%.2f"))


if __name__ == "__main__":
    main()
