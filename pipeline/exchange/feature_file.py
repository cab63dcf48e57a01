"""The content of a feature file, a dict of splits that are dicts (see pipeline.import_pickle), taken out with a check."""

import numpy as np

from pipeline.base.command import UserError

SPLITS = ("train", "valid", "test")


class FeatureFileError(UserError):
    """The feature file cannot be used; the message names split, key and cure."""


def check_splits(content: object) -> dict[str, dict]:
    """The content of a feature file, if it is a dict of the three splits.

    Raises FeatureFileError if a split is missing, unknown or empty.
    """
    if not isinstance(content, dict) or not all(isinstance(split, dict) for split in content.values()):
        raise FeatureFileError("not a dict of splits that are dicts; give a file as MMSA reads it")
    for mode in content:
        if mode not in SPLITS:
            raise FeatureFileError(f"unknown split '{mode}'; the splits are {', '.join(SPLITS)}: rename it or take it out")
    for mode in SPLITS:
        if mode not in content:
            raise FeatureFileError(f"no split '{mode}'; the file must have {', '.join(SPLITS)}")
        if not len(entry(content, mode, "id")):
            raise FeatureFileError(f"split '{mode}' has no clip; training needs clips in {', '.join(SPLITS)}")
    return content


def entry(content: dict[str, dict], mode: str, key: str) -> np.ndarray | list:
    """What a split holds under a key, one entry per clip.

    Raises FeatureFileError if the key is missing, or has not as many entries as there are ids.
    """
    split = content[mode]
    for needed in ("id", key):
        if needed not in split:
            keys = ", ".join(map(str, split))
            raise FeatureFileError(f"split '{mode}' has no key '{needed}' (it has {keys}); give a file as MMSA reads it")
        if not isinstance(split[needed], list) and not getattr(split[needed], "ndim", 0):
            raise FeatureFileError(f"split '{mode}', key '{needed}': neither an array nor a list; give one entry per clip")
    if len(split[key]) != len(split["id"]):
        raise FeatureFileError(
            f"split '{mode}', key '{key}': {len(split[key])} entries for {len(split['id'])} ids; give one entry per clip"
        )
    return split[key]


def numbers(content: dict[str, dict], mode: str, key: str, dimensions: int) -> np.ndarray:
    """Like `entry`, as an array of numbers with so many dimensions; [clips, 1] is as good as [clips]."""
    where = f"split '{mode}', key '{key}'"
    values = entry(content, mode, key)
    try:
        values = np.asarray(values)
        values = values.astype(np.float64) if values.dtype.kind == "O" else values
    except (TypeError, ValueError, OverflowError) as error:
        raise FeatureFileError(f"{where}: not numbers of one shape ({error}); correct the entry, or pad it") from error
    if dimensions == 1 and values.size == len(values):
        values = values.reshape(-1)
    if values.dtype.kind not in "fiu" or values.ndim != dimensions or 0 in values.shape:
        raise FeatureFileError(f"{where}: {values.dtype} of shape {values.shape}; give numbers with {dimensions} dimension(s)")
    return values


def texts(content: dict[str, dict], mode: str, key: str) -> list[str]:
    """Like `entry`, as texts; byte strings are read as UTF-8."""
    values = entry(content, mode, key)
    values = values.tolist() if isinstance(values, np.ndarray) else values
    values = [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in values]
    if not all(isinstance(item, str) for item in values):
        raise FeatureFileError(f"split '{mode}', key '{key}': not all entries are texts; correct them")
    return values
