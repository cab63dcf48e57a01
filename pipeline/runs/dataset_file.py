"""Parts of dataset.h5 that do not depend on where the features come from; its layout: pipeline/dataset.py."""

from collections.abc import Mapping, Sequence

import h5py
import numpy as np


def write_clips(
    file: h5py.File,
    columns: Mapping[str, Sequence[str]],
    labels: np.ndarray,
    flags: list[list[str]],
    messages: list[list[str]],
) -> None:
    """Write all that there is of the clips apart from their features.

    `columns` holds video_id, clip_id, mode and text, `labels` is float32 [clips, 4]: M, T, A, V, NaN where absent.
    """
    text = h5py.string_dtype()
    for name in ("video_id", "clip_id", "mode", "text"):
        file[f"clips/{name}"] = np.array(columns[name], dtype=text)
    file["clips/flags"] = np.array([";".join(names) for names in flags], dtype=text)
    file["clips/message"] = np.array([" ".join(sentences) for sentences in messages], dtype=text)
    file["labels"] = labels


def write_attributes(file: h5py.File, corpus: str, label_range: tuple[float, float], encoder: str) -> None:
    """Write the root attributes."""
    file.attrs["corpus"], file.attrs["encoder"] = corpus, encoder
    file.attrs["label_low"], file.attrs["label_high"] = label_range
