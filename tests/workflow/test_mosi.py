"""Raw MOSI: its label file, its files' names and ids such as YouTube gives them, from label.csv to a table."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import yaml

from demo.head import Head
from tests.workflow.conftest import Project, encode

IDS = {"-3g5yACwYnA": ["train", "train", "valid"], "--help": ["train", "test", "test"]}
TABLE = {
    "caption": "Two systems",
    "source": "a test",
    "metrics": ["acc2_positive", "mae"],
    "rows": [{"label": name, "run": name} for name in ("ridge", "lf_dnn", "mlf_dnn")],
}


def lay_out(folder):
    """MOSI/label.csv and MOSI/Raw/<video_id>/<clip_id>.mp4, as MMSA gives them."""
    head = Head(3)
    pictures = np.stack([head.frame({"jawOpen": 0.4 * (i % 2)}, index=i).image for i in range(6)])
    lines = ["video_id,clip_id,text,label,annotation,mode"]
    for video_id, modes in IDS.items():
        raw = folder / "MOSI" / "Raw" / video_id
        raw.mkdir(parents=True)
        for clip_id, mode in enumerate(modes, start=1):
            if clip_id == 1:
                encode(raw / "1.mp4", pictures[np.arange(24) // 4], 0.8)
            else:
                shutil.copy(raw / "1.mp4", raw / f"{clip_id}.mp4")
            lines.append(f'{video_id},{clip_id},"ANYHOW, IT WAS REALLY GOOD",{-2.4 + clip_id:.1f},Positive,{mode}')
        (raw / "1.wav").unlink()
    (folder / "MOSI" / "label.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_from_label_csv_to_a_table(empty_project):
    lay_out(empty_project)
    (empty_project / "config" / "tables" / "small.yaml").write_text(yaml.safe_dump(TABLE), encoding="utf-8")
    config = empty_project / "config" / "mosi.yaml"
    header = config.read_text(encoding="utf-8").splitlines()
    (command,) = [line.removeprefix("#   python -m ") for line in header if line.startswith("#   python -m ")]
    done = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=empty_project, env=os.environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    config.write_text("\n".join([*header, "seeds: [1]"]), encoding="utf-8")
    done = Project(empty_project).snakemake("--configfile", "config/mosi.yaml", target="results/mosi/small.csv")
    logs = "\n".join(path.read_text() for path in sorted((empty_project / "logs").rglob("*.log")))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    table = pd.read_csv(empty_project / "results" / "mosi" / "small.csv")
    assert table["system"].tolist() == ["majority (train median)", "ridge", "lf_dnn"]
    assert (table["corpus"] == "MOSI").all() and table["mae_mean"].notna().all()
    assert "Left out" in (empty_project / "results" / "mosi" / "small.md").read_text()
    quality = pd.read_csv(empty_project / "results" / "mosi" / "quality.csv", dtype=str, keep_default_na=False)
    expected = [(video_id, str(i)) for video_id, modes in IDS.items() for i in range(1, len(modes) + 1)]
    assert list(zip(quality["video_id"], quality["clip_id"], strict=True)) == expected
    # The videos of a person last for a second or two.
    assert (quality["flags"] == "few_neutral_frames").all(), quality["message"].tolist()
