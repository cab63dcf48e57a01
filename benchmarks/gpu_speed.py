"""How fast systems train on the GPU that is there, and how busy it is; without one, on the processor.

    python -m benchmarks.gpu_speed --work build/gpu_speed --only lf_dnn tfn mult

makes data of CH-SIMS's shape (1,368 / 456 / 457 clips of at most 39 tokens, 400 audio and 55 vision frames, and a BERT of base
size with random weights) and trains each network with the values of config/models/. Per system, in a process of its own:

- seconds of each epoch's training and the best of them; the first epochs record the steps (pipeline/runs/recorded_steps.py);
- per training step the operations that Python asks for, the kernels that run, and what share of the time they do;
- whether a step that has been recorded waits for the GPU: it is then an error;
- whether training twice gives the same bytes.

With `--five`, wall seconds of five seeds: one after the other in one process, and as five processes side by side; with
`--together`, of systems that share the GPU, five seeds of each at their own numbers of epochs, from dataset.h5 on. With
`--peer-script` the other program's seconds per epoch, its script being called as `benchmarks.train_speed` says, and
`--features` its feature file. A phase that takes longer than `--limit` seconds is given up, and the table says so. Needs the
packages of training alone. The table is printed and written to WORK/gpu_speed.csv.
"""

import argparse
import hashlib
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
import yaml
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from models import SYSTEMS, load_system
from models.estimator import Estimator
from models.system import TASKS
from pipeline import train as training
from pipeline.runs import fit
from pipeline.runs.dataset_file import write_attributes, write_clips

CONFIGS = Path(__file__).parents[1] / "config" / "models"
CLIPS = {"train": 1368, "valid": 456, "test": 457}
SHAPES = {
    "text": (4, 39, 768),
    "audio": (60, 400, 33),
    "vision": (8, 55, 709),
}  # frames of the shortest and longest clip, columns
VOCABULARY = 21128
SEEDS = ["1", "12", "123", "1234", "12345"]
PEER_NAMES = {"mag_bert": "bert_mag"}


def make_data(path: Path, share: float) -> None:
    """A dataset.h5 of random features in which the labels are planted, with `share` of CH-SIMS's clips."""
    random = np.random.default_rng(0)
    counts = {mode: max(4, round(share * count)) for mode, count in CLIPS.items()}
    total = sum(counts.values())
    mode = np.repeat(list(counts), list(counts.values()))
    labels = np.tile(random.choice(np.arange(-5, 6) / 5, (total, 1)), len(TASKS)).astype(np.float32)
    names = {"video_id": [f"video_{i // 40:04d}" for i in range(total)], "clip_id": [f"{i % 40:04d}" for i in range(total)]}
    with h5py.File(path, "w") as file:
        for modality, (shortest, longest, width) in SHAPES.items():
            lengths = random.integers(shortest, longest + 1, total)
            values = random.standard_normal((lengths.sum(), width), dtype=np.float32)
            values += np.repeat(labels[:, :1], lengths, axis=0) * 0.15 * random.standard_normal(width, dtype=np.float32)
            group = file.create_group(modality)
            group["values"], group["offsets"] = values, np.cumsum([0, *lengths])
            group["mean"], group["std"] = values.mean(0), values.std(0)
            if modality == "text":
                group["token_ids"] = random.integers(5, VOCABULARY, lengths.sum()).astype(np.int32)
        write_clips(file, names | {"mode": mode, "text": [""] * total}, labels, [[]] * total, [[]] * total)
        write_attributes(file, "timing", (-1.0, 1.0), "bert-random")


def make_encoder(folder: Path) -> None:
    """A BERT of base size with random weights."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=VOCABULARY), add_pooling_layer=False).save_pretrained(folder)


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Clock:
    """Seconds of the training of each epoch, from the end of `begin_epoch` to the beginning of the validation."""

    def __init__(self, system_class: type):
        self.seconds: list[float] = []
        begin, predict = system_class.begin_epoch, fit.predict

        def begin_epoch(*arguments: object) -> None:
            begin(*arguments)
            wait()
            self.start = time.perf_counter()

        def timed_predict(*arguments: object) -> dict:
            wait()
            if self.start:  # the last prediction follows no training
                self.seconds.append(time.perf_counter() - self.start)
            self.start = 0.0
            return predict(*arguments)

        system_class.begin_epoch, fit.predict = begin_epoch, timed_predict


class Asked(TorchDispatchMode):
    """Counts the operations that Python asks for."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):  # noqa: ANN001, ANN204
        self.count += 1
        return function(*arguments, **(options or {}))


class Trial:
    """A system, its data and the optimiser, between epochs."""

    def __init__(self, name: str, dataset_path: Path, encoder: Path, epochs: int):
        path = CONFIGS / f"{name}.yaml"
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        changes = {"max_epochs": epochs, "early_stop": epochs}
        if "encoder_epochs" in values:  # first epochs in which encoders learn alone, of which one is enough here
            changes["encoder_epochs"] = dict.fromkeys(values["encoder_epochs"], 1)
        self.config = training.load_config(name, path, json.dumps(changes))
        self.name, self.device = name, torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.data, self.encoder = training.read_inputs(name, self.config, dataset_path, str(encoder), self.device)

    def run(self, seed: int) -> fit.Run:
        """Train as `pipeline.train` does."""
        training.make_reproducible(seed, torch.get_num_threads())
        return fit.train_system(self.name, self.config, self.data, self.encoder, seed, self.data.split("valid"))


def digest(run: fit.Run) -> str:
    """Of everything that a run has learned and predicted."""
    found = hashlib.sha256(json.dumps(run.history).encode())
    for name, weight in sorted(run.weights.items()):
        found.update(name.encode() + weight.numpy().tobytes())
    for predictions in run.predictions.values():
        found.update(predictions.tobytes())
    return found.hexdigest()


def steps_of(run: fit.Run, clips: int) -> int:
    """Optimiser steps of an epoch."""
    return math.ceil(math.ceil(clips / run.config.batch_size) / run.config.accumulate)


def measure(name: str, dataset_path: Path, encoder: Path, epochs: int) -> dict:
    """All figures of one system. Says so when all is read, and waits for its turn."""
    trial = Trial(name, dataset_path, encoder, epochs)
    sys.stdin.readline()
    clock = Clock(load_system(name))
    run = trial.run(1)
    row = {"system": name, "epoch_s": min(clock.seconds), "first_s": clock.seconds[0], "epochs": len(clock.seconds)}
    steps = steps_of(run, len(trial.data.split("train")))
    row |= {"steps": steps, "ms_per_step": 1000 * min(clock.seconds) / steps}
    print(json.dumps(row), flush=True)
    found, again = watched(trial, steps, row["epoch_s"])
    row |= found | {"same_bytes": digest(run) == digest(again)}
    if trial.device.type == "cuda":
        row["peak_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return row


def watched(trial: Trial, steps: int, epoch_s: float) -> tuple[dict, fit.Run]:
    """Train again, watching two late epochs: operations asked for per step, and on a GPU what `kernels` finds."""
    found, on_gpu = {}, trial.device.type == "cuda"
    last = trial.config.max_epochs

    def watch(train_epoch):  # noqa: ANN001, ANN202
        calls = [0]

        def watched_epoch(*arguments: object) -> float:
            calls[0] += 1
            if calls[0] == last - 1:
                with Asked() as asked:
                    loss = train_epoch(*arguments)
                found["operations"] = asked.count / steps
            elif calls[0] == last and on_gpu:
                with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as profiler:
                    loss = train_epoch(*arguments)
                    wait()
                found.update(kernels(profiler, steps, epoch_s))
            else:
                loss = train_epoch(*arguments)
            return loss

        return watched_epoch

    before = fit.train_epoch, getattr(fit, "RecordedSteps", None)
    fit.train_epoch = watch(fit.train_epoch)
    if before[1]:
        of_class = before[1].train_epoch
        before[1].train_epoch = watch(of_class)
    run = trial.run(1)
    fit.train_epoch = before[0]
    if before[1]:
        before[1].train_epoch = of_class
    return found, run


def kernels(profiler: profile, steps: int, epoch_s: float) -> dict:
    """Per step the kernels, and what the host launched; the share of an unwatched epoch in which kernels ran; waits."""
    count, launched, busy, waits = 0, 0, 0.0, 0
    for event in profiler.profiler.kineto_results.events():  # not `events()`, which takes minutes for a million kernels
        if event.device_type() == torch.autograd.DeviceType.CUDA:
            count, busy = count + 1, busy + event.duration_ns() / 1e9
        else:
            launched += event.name().startswith(("cudaLaunch", "cudaGraphLaunch", "cuLaunch"))
            waits += event.name() in ("cudaStreamSynchronize", "cudaDeviceSynchronize")
    return {"kernels": count / steps, "launches": launched / steps, "busy": busy / epoch_s, "waits_per_epoch": waits}


def train_commands(name: str, dataset_path: Path, encoder: Path, output: Path, changes: dict) -> list[str]:
    """`pipeline.train` without its seeds."""
    command = [sys.executable, "-m", "pipeline.train", "--dataset", str(dataset_path), "--system", name, "--threads", "1"]
    command += ["--config", str(CONFIGS / f"{name}.yaml"), "--override", json.dumps(changes), "--output", str(output)]
    return command + (["--encoder", str(encoder)] if load_system(name).reads_tokens else [])


def seconds_of(commands: list[list[str]]) -> float:
    """Wall seconds of commands that run side by side; NaN if one fails."""
    start = time.perf_counter()
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [subprocess.Popen(command, **silent) for command in commands]
    failed = sum(process.wait() != 0 for process in started)
    return math.nan if failed else time.perf_counter() - start


def five(name: str, dataset_path: Path, encoder: Path, epochs: int, work: Path) -> dict:
    """Wall seconds of five seeds: in one process, and in five at once."""
    row = {"system": name, "epochs": epochs}
    for way, groups in {"one_process_s": [SEEDS], "five_processes_s": [[seed] for seed in SEEDS]}.items():
        output = work / "five" / way / name
        command = train_commands(name, dataset_path, encoder, output, {"max_epochs": epochs, "early_stop": epochs})
        row[way] = seconds_of([[*command, "--seeds", *seeds] for seeds in groups])
    return row


def peer(name: str, arguments: argparse.Namespace) -> dict:
    """The other program's seconds per epoch."""
    command = [sys.executable, arguments.peer_script, "run", "--work", str(arguments.features.parent)]
    command += ["--model", PEER_NAMES.get(name, name), "--epochs", "3", "--threads", "4"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=arguments.limit, check=False)
    except subprocess.TimeoutExpired:
        return {"peer_error": f"more than {arguments.limit} s"}
    try:
        return {"peer_s": min(json.loads(done.stdout.strip().splitlines()[-1])["train_s"])}
    except (IndexError, KeyError, ValueError):
        return {"peer_error": (done.stderr or done.stdout).strip()[-200:]}


class Child:
    """A process that measures one system: it imports and reads at once, while others measure, and waits for its turn."""

    def __init__(self, arguments: argparse.Namespace, name: str):
        self.name, self.limit = name, arguments.limit
        command = [
            sys.executable,
            "-m",
            "benchmarks.gpu_speed",
            "--work",
            str(arguments.work),
            "--epochs",
            str(arguments.epochs),
        ]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen([*command, "--child", name], text=True, **pipes)

    def result(self) -> dict:
        """The last line of JSON that it printed before its time was over."""
        try:
            out, errors = self.process.communicate("now\n", timeout=self.limit)
            wrong = errors.strip().splitlines()[-1][:300] if self.process.returncode else ""
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, wrong = self.process.communicate()[0], f"more than {self.limit} s"
        lines = [line for line in out.splitlines() if line.startswith("{")]
        found = json.loads(lines[-1]) if lines else {"system": self.name}
        return found | ({"error": wrong} if wrong else {})


def main() -> None:
    networks = [name for name in SYSTEMS if not issubclass(load_system(name), Estimator)]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for what is made")
    parser.add_argument("--only", nargs="+", default=networks, choices=networks, metavar="SYSTEM")
    parser.add_argument("--epochs", type=int, default=4, help="at least 3")
    parser.add_argument("--share", type=float, default=1.0, help="of CH-SIMS's clips, to try it out")
    parser.add_argument("--five", nargs="*", default=[], metavar="SYSTEM", help="systems of which five seeds are timed")
    parser.add_argument("--five-epochs", type=int, default=20)
    parser.add_argument("--limit", type=int, default=90, help="s of each phase of each system")
    parser.add_argument("--peer-script", default="")
    parser.add_argument("--features", type=Path, help="the peer's feature file")
    parser.add_argument("--together", nargs="*", default=[], metavar="SYSTEM", help="trained side by side, five seeds each")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    dataset_path, encoder = arguments.work / "dataset.h5", arguments.work / "bert-random"
    if arguments.child:
        print(json.dumps(measure(arguments.child, dataset_path, encoder, arguments.epochs)))
        return
    arguments.work.mkdir(parents=True, exist_ok=True)
    if not dataset_path.exists():
        make_data(dataset_path, arguments.share)
    if not encoder.exists() and any(load_system(name).reads_tokens for name in arguments.only):
        make_encoder(encoder)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} processor cores"
    print(f"{device}, torch {torch.__version__}")
    rows = []
    following = [*arguments.only[1:], None]
    child = Child(arguments, arguments.only[0])
    for name, after in zip(arguments.only, following, strict=True):
        ready = Child(arguments, after) if after else None
        row, child = child.result(), ready
        if arguments.peer_script:
            row |= peer(name, arguments)
        rows.append(row)
        print(json.dumps(row), flush=True)
    table = pd.DataFrame(rows)
    if "peer_s" in table:
        table["ratio"] = table["peer_s"] / table["epoch_s"]
    table.to_csv(arguments.work / "gpu_speed.csv", index=False, float_format="%.4f")
    print(table.to_string(index=False, float_format="%.3f"))
    for name in arguments.five:
        print(json.dumps(five(name, dataset_path, encoder, arguments.five_epochs, arguments.work)), flush=True)
    if arguments.together:
        outputs = {name: arguments.work / "together" / name for name in arguments.together}
        commands = [train_commands(name, dataset_path, encoder, output, {}) for name, output in outputs.items()]
        seconds = seconds_of([[*command, "--seeds", *SEEDS] for command in commands])
        epochs = {name: [len(pd.read_csv(outputs[name] / seed / "history.csv")) for seed in SEEDS] for name in outputs}
        print(json.dumps({"together_s": seconds, "epochs": epochs}))


if __name__ == "__main__":
    main()
