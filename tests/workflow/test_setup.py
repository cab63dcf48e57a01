"""One list of pins: requirements files, Makefile, environment.yml and what is installed agree."""

import importlib.metadata
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = ["requirements.txt", "requirements-no-deps.txt"]


def pins(name):
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    return [line for line in lines if line]


def test_every_requirement_is_pinned_exactly():
    for name in (*FILES, "requirements-add-videos.txt"):
        for line in pins(name):
            assert re.fullmatch(r"[A-Za-z0-9_-]+==[0-9][0-9a-z.]*", line), line


@pytest.mark.parametrize("line", pins(FILES[0]) + pins(FILES[1]))
def test_the_pinned_version_is_installed(line):
    name, version = line.split("==")
    assert importlib.metadata.version(name).split("+")[0] == version


def test_packages_the_pipeline_is_built_on_are_pinned():
    named = {line.split("==")[0] for name in FILES for line in pins(name)}
    needed = {"torch", "torchvision", "transformers", "librosa", "opencv-python-headless", "facenet-pytorch", "py-feat",
              "ffmpeg-python", "pandas", "h5py", "snakemake", "ai-edge-litert"}  # fmt: skip
    assert needed <= named


def test_exactly_one_opencv_is_installed():
    names = {distribution.metadata["Name"].lower() for distribution in importlib.metadata.distributions()}
    assert [name for name in names if name.startswith("opencv")] == ["opencv-python-headless"]


def test_makefile_and_environment_take_their_pins_from_the_requirements():
    makefile = (ROOT / "Makefile").read_text()
    assert "--requirement requirements.txt" in makefile
    assert "--no-deps --requirement requirements-no-deps.txt" in makefile
    text = (ROOT / "environment.yml").read_text()
    environment = yaml.safe_load(text)
    python, pip, ffmpeg, packages = environment["dependencies"]
    assert python == "python=3.11" and pip == "pip" and ffmpeg == "ffmpeg"
    assert packages == {"pip": ["--requirement requirements.txt"]}
    assert "pip install --no-deps --requirement requirements-no-deps.txt" in text
    assert not re.search(r"==\d", makefile + text)
