"""A copy of the project with a tiny corpus of good and bad clips, run from raw videos to the table once for all tests."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from filelock import FileLock

from demo.head import Head
from models import SYSTEMS
from pipeline.sources.manifest_table import COLUMNS
from pipeline.sources.media import ffmpeg_path
from tests.sound import write_wav

ROOT = Path(__file__).parents[2]
ROOMS = ["Snakefile", "workflow", "profiles", "config", "pipeline", "features", "models", "demo"]
ROOMS += ["requirements.txt", "requirements-no-deps.txt"]
GOOD, BAD = "甲 1", "bad"
BAD_CLIPS = {
    "truncated": "truncated.mp4", "text_file": "text.mp4", "no_audio": "no_audio.mp4", "black": "black.mp4",
    "end_beyond": "face.mp4", "empty_text": "face.mp4", "long_text": "face.mp4",
}  # fmt: skip


@dataclass
class Project:
    """A project folder, and Snakemake in it."""

    folder: Path

    def snakemake(self, *arguments: str, target: str = "results/sims_table2.csv") -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "snakemake", "--cores", "2", target, *arguments]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)

    def planned(self, *arguments: str, target: str = "results/sims_table2.csv") -> dict[str, list[str]]:
        """What a dry run would do: rule -> the wildcards of its jobs."""
        done = self.snakemake("--dry-run", "--quiet", "host", *arguments, target=target)
        assert done.returncode == 0, done.stdout + done.stderr
        jobs: dict[str, list[str]] = {}
        rule = ""
        for line in (done.stdout + done.stderr).splitlines():
            words = line.strip()
            if words.startswith(("rule ", "localrule ")):
                rule = words.split()[1].rstrip(":")
                jobs.setdefault(rule, [])
            elif words.startswith("wildcards: "):
                jobs[rule].append(words.removeprefix("wildcards: "))
        return jobs


def copy_rooms(folder: Path) -> None:
    for room in ROOMS:
        copy = shutil.copytree if (ROOT / room).is_dir() else shutil.copy2
        copy(ROOT / room, folder / room)


@pytest.fixture
def empty_project(tmp_path) -> Path:
    """A copy of the project without any data."""
    copy_rooms(tmp_path)
    return tmp_path


@pytest.fixture
def demo_project(empty_project) -> Path:
    """A copy of the project with the manifest of the demo corpus, before anything was made."""
    shutil.copy(ROOT / "data_manifest.csv", empty_project)
    return empty_project


def encode(path: Path, frames: np.ndarray, seconds: float, sound: bool = True) -> None:
    """Write frames [n, height, width, 3] at 30 Hz and a gliding voice as an mp4."""
    height, width = frames.shape[1:3]
    command = [ffmpeg_path(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", "30", "-i", "-"]
    if sound:
        time = np.arange(int(seconds * 22050)) / 22050
        phase = 2 * np.pi * (150 * time + 20 * time**2)
        samples = 0.2 * sum(np.sin(k * phase) / k for k in range(1, 9))
        tone = path.with_suffix(".wav")
        write_wav(tone, samples)
        command += ["-i", str(tone), "-c:a", "aac"]
    command += ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path)]
    subprocess.run(command, input=frames.tobytes(), check=True)


def make_raw_videos(folder: Path) -> None:
    folder.mkdir()
    head = Head(3)
    seconds = 3.0
    times = np.arange(15) / 15
    pictures = [
        head.frame({"jawOpen": 0.4 * (i % 2)}, pose=(0.3 * np.sin(6 * t), 0.1 * np.cos(5 * t), 0), index=i).image
        for i, t in enumerate(times)
    ]
    frames = np.stack(pictures)[np.arange(90) // 6]
    encode(folder / "face.mp4", frames, seconds)
    encode(folder / "no_audio.mp4", frames, seconds, sound=False)
    encode(folder / "black.mp4", np.zeros_like(frames), seconds)
    (folder / "text.mp4").write_text("This is no video.\n")
    whole = (folder / "face.mp4").read_bytes()
    (folder / "truncated.mp4").write_bytes(whole[: int(len(whole) * 0.4)])


def make_manifest(raw: Path) -> pd.DataFrame:
    modes = ["train", "train", "train", "valid", "valid", "test", "test", "test"]
    rows = []
    for i, mode in enumerate(modes):
        label = round(-1 + 0.4 * (i % 6), 1)
        times = {"start": 0.3 * i, "end": 0.3 * i + 0.8}
        rows.append({"video_id": GOOD, "clip_id": f"{i + 1:04d}", "path": f"{raw.name}/face.mp4", **times, "mode": mode,
                     "text": "今天很开心", "label": label, "label_T": -label, "label_A": label, "label_V": 0.0})  # fmt: skip
    for i, (name, file) in enumerate(BAD_CLIPS.items()):
        row = {**rows[i], "video_id": BAD, "clip_id": name, "path": f"{raw.name}/{file}", "start": None, "end": None}
        if name == "end_beyond":
            row |= {"start": 2.0, "end": 9.0}
        if name == "empty_text":
            row["text"] = ""
        if name == "long_text":
            characters = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜"
            row["text"] = (characters * 20)[:600]
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id) -> Project:
    """The project after a whole run, one for all processes that test. Tests must not change it: use `project`."""
    base = tmp_path_factory.getbasetemp()
    root = base if worker_id == "master" else base.parent
    with FileLock(root / "project.lock"):
        if not (root / "项目 a").is_dir():
            (root / "unfinished").mkdir()
            run_whole_workflow(root / "unfinished" / "项目 a").folder.rename(root / "项目 a")
    return Project(root / "项目 a")


def run_whole_workflow(folder: Path) -> Project:
    """Make a project in a new folder and run it."""
    folder.mkdir()
    copy_rooms(folder)
    make_raw_videos(folder / "原始 raw")
    make_manifest(folder / "原始 raw").to_csv(folder / "data_manifest.csv", index=False)
    estimators = ("constant", "ridge", "svm", "svm_classification")
    systems = {name: {"max_epochs": 2} for name in SYSTEMS if name not in estimators}
    config = {"manifest": "data_manifest.csv", "corpus": "test corpus", "seeds": [1], "systems": systems}
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    project = Project(folder)
    done = project.snakemake()
    logs = "\n".join(path.read_text() for path in sorted((folder / "logs").rglob("*.log")))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:] + logs[-4000:]
    return project


def link_weights(source: str, target: str) -> str:
    """Copy a file; weights, which are gigabytes in all and are never written in place, by a link."""
    return os.link(source, target) or target if source.endswith(".safetensors") else shutil.copy2(source, target)


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """A copy of the finished project, free to change."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder, symlinks=True, copy_function=link_weights)
    return Project(folder)
