"""Every command ends a user's mistake with one line that names the file, and writes nothing."""

import importlib
import re
import sys
from pathlib import Path

import h5py
import pytest

from pipeline.base.command import run_command

ROOT = Path(__file__).parents[2]
# command -> options that name what is not there or not of its kind; the outputs go to `out`.
COMMANDS = {
    "add_videos": "{x} --manifest {out}",
    "audio": "--clips {x} --output {out}",
    "clips": "--manifest {x} --video-id=v --output {out}",
    "results.corpus_tables": "--dataset {x} --table1 {out} --table3 {out} --figure2 {out} --figure2-table {out}",
    "results.curves": "--runs {x} --run tfn --seeds 1 --corpus c --output {out}",
    "dataset": "--manifest {x} --features {x} --clips {x} --corpus c --output {out}",
    "explain": "--manifest {x} --video-id=v --clips {x} --features {x} --model {x} --encoder e --output {out}",
    "export_pickle": "--dataset {x} --output {out}",
    "fex": "--features {x} --clip 0001 --output {out}",
    "import_pickle": "--features {x} --corpus c --label-range -1 1 --output {out}",
    "manifest": "--labels {x} --raw . --output {out}",
    "openface_csv": "--features {x} --output {out}",
    "openface_source": "--manifest {x} --video-id=v --csv . --output {out}",
    "pack": "{x} --output {out}",
    "predict": "{x} --model {x} --keep {out}",
    "predictions": "--manifest {x} --clips {x} --features {x} --model {x} --output {out}",
    "pages.predictions_page": "--predictions {x} --model {x} --output {out}",
    "provenance": "write --config {{}} --dataset {x} --output {out}",
    "pages.qc": "--manifest {x} --quality {x} --videos . --corpus c --output {out}",
    "pages.qc_video": "--clips . --features {x} --output {out}",
    "results.quality": "--dataset {x} --output {out}",
    "results.representations": "--figure config/figures/sims_figure4.yaml --runs {x} --seed 1 --dataset {x} --output {out}",
    "results.robustness": "--run tfn --runs {x} --seeds 1 --dataset {x} --output {out}",
    "results.robustness_table": "--tables {x} --output {out} --figure {out}",
    "results.run_times": "--folder {x} --output {out}",
    "results.significance": "--table config/tables/systems.yaml --runs {x} --seeds 1 --corpus c --output {out}",
    "results.table": "--table config/tables/systems.yaml --runs {x} --seeds 1 --corpus c --output {out} --markdown {out}"
    " --figure f",
    "text": "--manifest {x} --video-id=v --encoder e --output {out}",
    "train": "--dataset {x} --system tfn --config config/models/tfn.yaml --seeds 1 --output {out}",
    "tune": "--search {x} --folder . --trials 0 --seeds 1 --corpus c --output {out} --ranking {out}",
    "results.unimodal": "--runs {x} --seeds 1 --output {out}",
    "vision": "--clips {x} --output {out}",
    "vision_py_feat": "--clips {x} --output {out}",
}
READS_HDF5 = ("results.corpus_tables", "export_pickle", "fex", "openface_csv", "results.quality", "train")


def ends(monkeypatch, command, given, out):
    module = importlib.import_module(f"pipeline.{command}")
    options = [option.format(x=given, out=out) for option in COMMANDS[command].split(" ")]
    monkeypatch.setattr(sys, "argv", [command, *options])
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as end:
        run_command(module.main)
    assert end.value.code.startswith("error: ") and str(given) in end.value.code, end.value.code
    assert not out.exists() and not list(out.parent.glob(".*"))


def module_of(path):
    return ".".join(path.relative_to(ROOT / "pipeline").with_suffix("").parts)


def test_every_command_is_here():
    found = {module_of(path) for path in (ROOT / "pipeline").rglob("*.py") if "__main__" in path.read_text(encoding="utf-8")}
    assert found - {"base.command", "encoder"} == set(COMMANDS)  # the one is what they use, the other takes nothing
    for name in COMMANDS:
        text = (ROOT / "pipeline" / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert re.search(r'^if __name__ == "__main__":\n    run_command\(main\)$', text, re.MULTILINE), name


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_not_there_is_named(monkeypatch, tmp_path, command):
    ends(monkeypatch, command, tmp_path / "没有 none", tmp_path / "out" / "x")


@pytest.mark.parametrize("command", READS_HDF5)
@pytest.mark.parametrize("kind", ["text", "hdf5"])
def test_a_file_of_another_kind_is_named(monkeypatch, tmp_path, command, kind):
    path = tmp_path / "other.h5"
    if kind == "text":
        path.write_text("no HDF5")
    else:
        with h5py.File(path, "w") as file:
            file["x"] = 1
    ends(monkeypatch, command, path, tmp_path / "out" / "x")
