"""The feature store: one HDF5 file per video and modality, a group per clip in the order of the manifest.

Root attributes say what the numbers are: `columns`, `units`, `frame_rate` (Hz; 0 where a row is not a moment in time),
`extractor`, `settings` and `versions` (JSON), `weights` (JSON: file or model -> sha256), and `video_id`. A clip that could
not be processed keeps its group, with `values` of shape [0, columns], its `flags` and a `message`.
"""

import contextlib
import importlib.metadata
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import h5py
import numpy as np

from pipeline.base.command import UserError
from pipeline.base.hdf5 import new_hdf5, open_hdf5


@dataclass
class ClipFeatures:
    """Features of one clip.

    Attributes
    ----------
    values : np.ndarray [shape=(frames, columns)]
        float32; NaN where a value is undefined.
    extras : dict of str to np.ndarray
        Further arrays, one row per frame (or token): `success`, `confidence`, `tokens`, `offsets` ...
    flags : list of str
        Quality flags, empty for a clip without fault.
    message : str
        What is wrong and the cure, for a person; empty without fault.
    """

    values: np.ndarray
    extras: dict[str, np.ndarray] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    message: str = ""


@dataclass
class StoreAttributes:
    """What a feature file says of itself; see the module docstring."""

    columns: list[str]
    units: list[str]
    frame_rate: float
    extractor: str
    settings: dict = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)


@dataclass
class Store:
    """A feature file in memory: attributes, and clips by clip_id in file order."""

    attributes: StoreAttributes
    clips: dict[str, ClipFeatures]


@contextlib.contextmanager
def new_store(path: str | Path, attributes: StoreAttributes) -> Iterator[h5py.File]:
    """An open feature file without clips, under a temporary name that is renamed when the block ends well."""
    with new_hdf5(path, track_order=True) as file:
        put_attributes(file, attributes)
        file.attrs["video_id"] = Path(path).stem
        yield file


def put_attributes(group: h5py.Group, attributes: StoreAttributes) -> None:
    """Write what is said of the numbers of a file, or of a group."""
    for name, value in asdict(attributes).items():
        group.attrs[name] = json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, dict) else value


def attributes_of(group: h5py.Group) -> StoreAttributes:
    """What `put_attributes` wrote."""
    return StoreAttributes(
        columns=[str(name) for name in group.attrs["columns"]],
        units=[str(name) for name in group.attrs["units"]],
        frame_rate=float(group.attrs["frame_rate"]),
        extractor=str(group.attrs["extractor"]),
        settings=json.loads(group.attrs["settings"]),
        versions=json.loads(group.attrs["versions"]),
        weights=json.loads(group.attrs["weights"]),
    )


def add_clip(file: h5py.File, clip_id: str, clip: ClipFeatures) -> None:
    """Write the group of one clip.

    Raises
    ------
    ValueError
        If `values` do not have one column per name in the file's `columns`.
    """
    values, columns = np.asarray(clip.values, dtype=np.float32), len(file.attrs["columns"])
    if values.ndim != 2 or values.shape[1] != columns:
        raise ValueError(f"clip {clip_id} has features of shape {values.shape}, expected [frames, {columns}]")
    group = file.create_group(clip_id)
    group.create_dataset("values", data=values)
    for name, extra in clip.extras.items():
        extra = np.asarray(extra)
        if extra.dtype.kind in "UO":
            extra = extra.astype(h5py.string_dtype())
        group.create_dataset(name, data=extra)
    group.attrs["flags"] = np.array(clip.flags, dtype=h5py.string_dtype())
    group.attrs["message"] = clip.message


def add_flag(group: h5py.Group, flag: str, message: str) -> None:
    """Give a clip that is written one more flag, and its message."""
    group.attrs["flags"] = np.array([*group.attrs["flags"], flag], dtype=h5py.string_dtype())
    group.attrs["message"] = " ".join(filter(None, [group.attrs["message"], message]))


def write_store(path: str | Path, clips: Iterable[tuple[str, ClipFeatures]], attributes: StoreAttributes) -> None:
    """Write a feature file, clip by clip as they come; see `new_store` and `add_clip`."""
    with new_store(path, attributes) as file:
        for clip_id, clip in clips:
            add_clip(file, clip_id, clip)


@contextlib.contextmanager
def open_dataset(path: str | Path) -> Iterator[h5py.File]:
    """dataset.h5, open for reading. Raises UserError if it is none."""
    with open_hdf5(path) as file:
        if "labels" not in file:
            raise UserError(f"{path}: no data set; give <build>/dataset.h5, or make it again")
        yield file


def read_store(path: str | Path, video_id: str | None = None) -> Store:
    """Read a whole feature file.

    Raises
    ------
    UserError
        If it is none, or a damaged one, or if it is not that of the video `video_id`, or holds an infinite value.
    """
    with open_hdf5(path) as file:
        if "extractor" not in file.attrs:
            raise UserError(f"{path}: no feature file of one video; give <build>/features/<modality>/<video_id>.h5")
        attributes = attributes_of(file)
        if video_id is not None and file.attrs.get("video_id", video_id) != video_id:
            raise UserError(f"{path}: it holds the video '{file.attrs['video_id']}', not '{video_id}'; delete it and run again")
        try:
            clips = {clip_id: _read_clip(group) for clip_id, group in file.items()}
        except (OSError, KeyError) as error:
            raise UserError(f"{path}: a damaged feature file ({error}); delete it and run again") from error
    for clip_id, clip in clips.items():
        if np.isinf(clip.values).any():
            raise UserError(f"{path}: clip {clip_id} has infinite values; delete the file and run again")
    return Store(attributes, clips)


def _read_clip(group: h5py.Group) -> ClipFeatures:
    extras = {name: read_array(dataset) for name, dataset in group.items() if name != "values"}
    flags = [str(flag) for flag in group.attrs["flags"]]
    return ClipFeatures(group["values"][:], extras, flags, str(group.attrs["message"]))


def read_array(dataset: h5py.Dataset) -> np.ndarray:
    """An array of a clip; text as str."""
    return dataset.asstr()[:] if h5py.check_string_dtype(dataset.dtype) else dataset[:]


def versions_of(*packages: str) -> dict[str, str]:
    """Installed versions of the named distributions, for `StoreAttributes.versions`."""
    return {package: importlib.metadata.version(package) for package in packages}
