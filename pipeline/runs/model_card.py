"""The model card of a model folder, README.md in the format of the Hugging Face hub: YAML between dashes, then text."""

import numpy as np
import yaml

from models.metrics import METRIC_TITLES, metrics_for
from pipeline.runs.model_folder import Model


def test_scores(model: Model) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation (NaN of one seed) over the seeds of each metric of task M on the test split."""
    _, names = metrics_for(model.label_range)
    found = [metrics["test"]["M"] for metrics in model.metrics.values() if "M" in metrics["test"]]
    scores = {}
    for name in names:
        values = np.array([metrics[name] for metrics in found if metrics[name] is not None])
        if len(values):
            scores[name] = (float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else float("nan"))
    return scores


def model_card(model: Model) -> str:
    """README.md of a model."""
    scores = test_scores(model)
    header = {
        "tags": ["multimodal-sentiment-analysis", model.system],
        "license": "other",
        "license_name": "as-its-corpus",
        "model-index": [
            {
                "name": model.name,
                "results": [
                    {
                        "task": {"type": "multimodal-sentiment-analysis", "name": "Multimodal sentiment analysis"},
                        "dataset": {"type": "own", "name": model.corpus, "split": "test"},
                        "metrics": [
                            {"type": name, "name": METRIC_TITLES[name], "value": round(mean, 4)}
                            for name, (mean, _) in scores.items()
                        ],
                    }
                ],
            }
        ],
    }
    if not scores:
        del header["model-index"]
    front = yaml.safe_dump(header, sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n{body(model, scores)}"


def body(model: Model, scores: dict[str, tuple[float, float]]) -> str:
    """The text of the card."""
    low, high = model.label_range
    count = len(model.seeds)
    lines = [
        f"# {model.name}",
        "",
        f"The system `{model.system}`, trained with {count} seed(s) ({', '.join(map(str, model.seeds))}) on {model.corpus}.",
        f"It gives the sentiment of a spoken clip as a number from {low:g} (negative) to {high:g} (positive), from text, voice",
        "and face.",
        "",
        "    python -m pipeline.predict clip.mp4 --text '...' --model <this folder>",
        "",
        "## What it may be used for",
        "",
        "For research, on clips like those of its corpus. What it says of a clip is no fact about the person. It was not",
        "tested for fairness, nor on people whom the corpus does not show. The weights are bound to the licence of the corpus.",
    ]
    if scores:
        lines += ["", "## Test split", "", f"Task M, mean and standard deviation over {count} seed(s).", ""]
        lines += ["| metric | value |", "|---|---|"]
        lines += [f"| {METRIC_TITLES[name]} | {mean:.4f} ± {std:.4f} |" for name, (mean, std) in scores.items()]
    lines += ["", "## Features", ""]
    if model.features:
        name, digest = model.encoder
        lines += [f"Text encoder: `{name}`, sha256 `{digest}`.", ""]
        lines += ["| modality | columns | extractor | settings |", "|---|---|---|---|"]
        for modality, attributes in model.features.items():
            settings = ", ".join(f"{key}: {value}" for key, value in attributes.settings.items())
            lines.append(f"| {modality} | {len(attributes.columns)} | {attributes.extractor} | {settings} |")
    else:
        lines += ["Those of a published feature file; they cannot be extracted from a video here."]
    lines += ["", "## Values", "", "```yaml", yaml.safe_dump(model.values, sort_keys=False, allow_unicode=True).rstrip(), "```"]
    lines += ["", "Versions: " + ", ".join(f"{name} {version}" for name, version in model.versions.items()) + ".", ""]
    return "\n".join(lines)
