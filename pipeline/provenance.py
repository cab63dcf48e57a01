"""What made some results, and why two of them differ.

    python -m pipeline.provenance write --config '{...}' --manifest data_manifest.csv --dataset build/dataset.h5 \
        --output results/provenance.json
    python -m pipeline.provenance compare results/provenance.json their_provenance.json

provenance.json: fingerprint, a short hash of configuration, values, manifest and versions, which the tables carry; corpus;
configuration, as run; commit of the repository ('+' if files were changed since), empty outside one; versions of the packages;
sha256 of the manifest and the data set, and of all weights behind the features; machine.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

from features.hashing import sha256_of
from models.system import MODALITIES
from pipeline.base.command import UserError, run_command
from pipeline.base.io import replacing
from pipeline.base.store import attributes_of, open_dataset

ROOT = Path(__file__).parents[1]
DECISIVE = ("corpus", "configuration", "commit", "versions", "sha256", "weights")  # what the bytes of a result depend on


def commit_of(folder: Path) -> str:
    """The commit that is checked out, with '+' if a file has been changed since; empty outside a repository."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        commit = git("rev-parse", "HEAD")
        return commit + "+" if commit and git("status", "--porcelain", "--untracked-files=no") else commit
    except FileNotFoundError:
        return ""


def requirements() -> list[str]:
    """The packages that the project pins."""
    lines = [
        line
        for name in ("requirements.txt", "requirements-no-deps.txt")
        for line in (ROOT / name).read_text("utf-8").splitlines()
    ]
    return [line.split("==")[0] for line in lines if "==" in line]


def versions() -> dict[str, str]:
    """Python and the pinned packages, as installed."""
    found = {"python": platform.python_version()}
    for name in requirements():
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def provenance(config: dict, manifest: Path | None, dataset: Path) -> dict:
    """What there is to say of the results of a configuration; see the module docstring."""
    with open_dataset(dataset) as file:
        made = {name: attributes_of(file[name]) for name in MODALITIES if "extractor" in file[name].attrs}
        corpus = str(file.attrs["corpus"])
    digests = {"dataset": sha256_of(dataset)} | ({"manifest": sha256_of(manifest)} if manifest else {})
    return {
        "corpus": corpus,
        "configuration": config,
        "commit": commit_of(ROOT),
        "versions": versions(),
        "sha256": digests,
        "weights": {name: attributes.weights for name, attributes in made.items()},
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
    }


def differences(first: object, second: object, where: str = "") -> list[str]:
    """A line per value that differs, named by its keys."""
    if isinstance(first, dict) and isinstance(second, dict):
        lines = []
        for key in sorted({*first, *second}):
            lines += differences(first.get(key), second.get(key), f"{where}: {key}" if where else key)
        return lines
    return [] if first == second else [f"{where}: {_said(first)} | {_said(second)}"]


def _said(value: object) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def read(path: Path) -> dict:
    """A provenance.json. Raises UserError if it is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: no provenance.json ({error})") from error
    if not isinstance(content, dict) or not {*DECISIVE, "machine"} <= set(content):
        raise UserError(f"{path}: no provenance.json; give one that `snakemake <results>/provenance.json` has made")
    return content


def compare(first: Path, second: Path) -> str:
    """Why the results of two runs may differ."""
    one, other = read(first), read(second)
    lines = [line for name in DECISIVE for line in differences(one[name], other[name], name)]
    machine = differences(one["machine"], other["machine"], "machine")
    if not lines and not machine:
        return "no difference: the results are the same bytes"
    if not lines:
        return "\n".join(["another machine alone: sums may be rounded otherwise", *machine])
    return "\n".join([*lines, *machine])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    write = actions.add_parser("write", help="write down what made the results")
    write.add_argument("--config", type=json.loads, required=True, help="the configuration, as JSON")
    write.add_argument("--manifest", type=Path)
    write.add_argument("--dataset", type=Path, required=True)
    write.add_argument("--fingerprint", default="", help="hash of configuration, manifest and versions, which the tables carry")
    write.add_argument("--output", type=Path, required=True)
    two = actions.add_parser("compare", help="say why two results differ")
    two.add_argument("first", type=Path)
    two.add_argument("second", type=Path)
    arguments = parser.parse_args()
    if arguments.action == "compare":
        print(compare(arguments.first, arguments.second))
        return
    found = {"fingerprint": arguments.fingerprint} | provenance(arguments.config, arguments.manifest, arguments.dataset)
    with replacing(arguments.output) as temporary:
        temporary.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
