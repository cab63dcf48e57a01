"""Pages of the site that are made of the code: the reference of the systems."""

import sys
from pathlib import Path

import torch
import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from transformers import BertConfig, BertModel

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from models import SYSTEMS, load_system  # noqa: E402  (the project's own rooms come after the path to them)
from models.estimator import Estimator  # noqa: E402
from models.system import build_config  # noqa: E402
from models.text_encoder import TextEncoder  # noqa: E402

# Of CH-SIMS: columns of each modality, and frames of its longest clip.
WIDTHS = {"text": 768, "audio": 33, "vision": 709}
LONGEST = {"text": 39, "audio": 400, "vision": 55}
TASKS = {"M": "multimodal", "T": "text", "A": "audio", "V": "vision"}

HEAD = """# The systems

Made of the registry (`models/__init__.py`), the files of values (`config/models/`) and the code itself. The values are those
for CH-SIMS; a config file, a variant (`config/variants.yaml`) or `--override` replaces single ones. Parameters are those that
are learned on CH-SIMS beside the text encoder (text 768, audio 33, vision 709 columns).

| system | learns | parameters |
|---|---|--:|
"""


def parameters_of(name: str, values: dict) -> tuple[list[str], int | None, bool]:
    """Tasks a system learns, its learned parameters beside the text encoder (None: it is no network), whether it has one."""
    system_class = load_system(name)
    config = build_config(system_class.config_class, values)
    if issubclass(system_class, Estimator):
        return ["M"], None, False
    with torch.device("meta"):
        encoder = BertModel(BertConfig(num_hidden_layers=12), add_pooling_layer=False) if system_class.reads_tokens else None
        own = (TextEncoder(encoder, config),) if encoder is not None else ()
        system = system_class(config, WIDTHS, LONGEST, *own)
    learned = [
        parameter.numel()
        for key, parameter in system.named_parameters()
        if parameter.requires_grad and not key.startswith("encoder.")
    ]
    return list(system.task_weights), sum(learned), system_class.reads_tokens


def systems_page() -> str:
    """The reference of the systems, in Markdown."""
    rows, sections = [], []
    for name, place in SYSTEMS.items():
        file = ROOT / "config" / "models" / f"{name}.yaml"
        values = file.read_text(encoding="utf-8")
        tasks, parameters, encoder = parameters_of(name, yaml.safe_load(values))
        module = sys.modules[load_system(name).__module__]
        count = "" if parameters is None else f"{parameters:,}"
        learned = ", ".join(TASKS[task] for task in tasks)
        rows.append(f"| [{name}](#{name}) | {learned} | {count} |")
        paper = " ".join(module.__doc__.split("\n\n")[0].split())
        what = " ".join((load_system(name).__doc__ or "").split("\n\n")[0].split())
        told = f"{what} It fine-tunes the text encoder." if encoder else what
        source = place.split(":")[0].replace(".", "/") + ".py"
        code = f'```yaml title="config/models/{name}.yaml"\n{values.rstrip()}\n```'
        sections.append(f"## {name}\n\n{paper}\n\n{told} Code: `{source}`.\n\n{code}\n")
    return HEAD + "\n".join(rows) + "\n\n" + "\n".join(sections)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    files.append(File.generated(config, "systems.md", content=systems_page()))
    return files
