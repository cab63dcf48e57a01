"""Representations of the test clips in trained systems, drawn with t-SNE: Figure 4 of CH-SIMS and Figure 4 of SFTTR.

    python -m pipeline.results.representations --figure config/figures/sims_figure4.yaml --runs build/runs --seed 1 \
        --dataset build/dataset.h5 --output results/sims_figure4.png

A figure file names the panels, each a run whose system has a method `represent`, and a colour for each of its
representations. The papers do not say how vectors of different width come into one plane: here every vector is scaled to
unit length and filled up with zeros to the widest. A panel's silhouette says in one number how far its colours are apart
before t-SNE: 1 apart, 0 mixed.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import torch
import yaml
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from pipeline.base.command import run_command
from pipeline.runs.data import even_batches
from pipeline.base.io import replacing
from pipeline.runs.run_folder import load_run

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend without a screen comes first)


def representations_of(folder: Path, dataset_path: Path, encoder: str) -> tuple[dict[str, np.ndarray], str]:
    """What the trained system of a run folder makes of the test clips: {name: [shape=(clips, D)]}; and the corpus's name."""
    system, dataset = load_run(folder, dataset_path, encoder)
    parts = []
    with torch.no_grad():
        for chosen in even_batches(dataset.split("test"), system.config.batch_size):
            parts.append(system.represent(dataset.batch(chosen)))
    return {name: torch.cat([part[name] for part in parts]).float().numpy() for name in parts[0]}, dataset.corpus


def on_one_sphere(vectors: list[np.ndarray]) -> np.ndarray:
    """Vectors [shape=(n, D)] of different D below each other [shape=(sum of n, largest D)], each of length 1 or 0."""
    width = max(array.shape[1] for array in vectors)
    joined = np.concatenate([np.pad(array, ((0, 0), (0, width - array.shape[1]))) for array in vectors])
    lengths = np.linalg.norm(joined, axis=1, keepdims=True)
    return joined / np.where(lengths > 0, lengths, 1)


def plane(vectors: np.ndarray) -> np.ndarray:
    """t-SNE of `vectors` [shape=(n, D)]: [shape=(n, 2)]. The same vectors give the same points."""
    if np.ptp(vectors, axis=0).max() == 0:
        return np.zeros((len(vectors), 2))
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    # With more than one thread the sums depend on which of them ends first.
    with threadpool_limits(1):
        return TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(vectors.astype(np.float32))


def silhouette(vectors: np.ndarray, groups: np.ndarray) -> float:
    """Mean silhouette (Euclidean) of `vectors` [shape=(n, D)] in `groups` [shape=(n,)]; NaN if a group has one clip."""
    return float(silhouette_score(vectors, groups)) if np.bincount(groups).min() > 1 else np.nan


def draw(content: dict, found: list[dict[str, np.ndarray]], corpus: str, seed: int, path: Path) -> None:
    """A panel per run: `found` holds the representations of each panel of the figure file `content`."""
    columns = content["columns"]
    lines = -(-len(found) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(4.5 * columns, 4.6 * lines + 0.9), layout="constrained", squeeze=False)
    for panel, description, named in zip(axes.flat, content["panels"], found, strict=True):
        groups = np.repeat(np.arange(len(content["colours"])), [len(named[name]) for name in content["colours"]])
        vectors = on_one_sphere([named[name] for name in content["colours"]])
        points = plane(vectors)
        for i, (name, colour) in enumerate(content["colours"].items()):
            own = points[groups == i]
            panel.scatter(own[:, 0], own[:, 1], s=9, color=colour, alpha=0.75, linewidths=0, label=name)
        panel.set_title(f"{description['title']} (silhouette {silhouette(vectors, groups):.2f})")
        panel.set_xticks([])
        panel.set_yticks([])
    clips = len(next(iter(found[0].values())))
    figure.suptitle(f"{content['caption']}, {corpus}\nt-SNE of the {clips} test clips, seed {seed}", fontsize=12)
    handles, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False, markerscale=2)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", type=Path, required=True, help="config/figures/<name>.yaml")
    parser.add_argument("--runs", type=Path, required=True, help="folder with <run>/<seed>/")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--encoder", default="", help="folder or hub name of the text encoder, if a system fine-tunes it")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    content = yaml.safe_load(arguments.figure.read_text(encoding="utf-8"))
    found = []
    for panel in content["panels"]:
        folder = arguments.runs / panel["run"] / str(arguments.seed)
        named, corpus = representations_of(folder, arguments.dataset, arguments.encoder)
        found.append(named)
    with replacing(arguments.output) as temporary:
        draw(content, found, corpus, arguments.seed, temporary)


if __name__ == "__main__":
    run_command(main)
