"""Clips of earlier jobs, kept so that a job of one video makes anew only the clips that changed.

Beside its output a job keeps what it made, <folder>/.kept/<video_id>: hard links of its files, which take no room, and for
each clip a key, the digest of all that its bytes depend on.
"""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import h5py
import numpy as np

from features.hashing import sha256_of
from pipeline.base.io import replacing
from pipeline.base.kept import KEY, key_of, link
from pipeline.base.store import ClipFeatures, StoreAttributes, read_array

CODE_HELP = "files of code: a clip for which they, its files and the settings are those of an earlier call is kept"
STORE, ARRAYS = "store.h5", "arrays.npz"


@dataclass
class KeptClip:
    """What a job noted of a clip: its key, and the flags and message that it had by itself."""

    key: str
    flags: list[str]
    message: str


@dataclass
class KeptFeatures:
    """The clips of a feature file as an earlier job with the same settings and code made them.

    Parameters
    ----------
    output : Path
        The feature file, <folder>/<video_id>.h5.
    attributes : StoreAttributes
        What it will say of itself: settings, versions, weights.
    code : sequence of str
        Files of code that its bytes depend on. Without any nothing is kept.
    """

    output: Path
    attributes: StoreAttributes
    code: Sequence[str]
    clips: dict[str, KeptClip] = field(default_factory=dict)  # of this job
    arrays: dict[str, np.ndarray] = field(default_factory=dict)  # of this job, by clip
    taken: int = 0  # how many of its clips were made earlier

    def __post_init__(self):
        self.folder = self.output.parent / ".kept" / self.output.stem
        self.common = key_of(asdict(self.attributes), self.code) if self.code else ""
        self.earlier: dict[str, KeptClip] = {}
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # nothing kept, or nothing of use
            content = json.loads((self.folder / KEY).read_text(encoding="utf-8"))
            if self.code and all(sha256_of(self.folder / name) == digest for name, digest in content["files"].items()):
                self.earlier = {clip_id: KeptClip(**clip) for clip_id, clip in content["clips"].items()}

    def key(self, clip_id: str, files: Sequence[Path]) -> str:
        """Digest of all that the features of a clip depend on, `files` being what they are computed from."""
        return key_of({"clip": clip_id, "common": self.common}, files) if self.code else ""

    def take(self, clip_id: str, key: str, extras: Sequence[str]) -> ClipFeatures | None:
        """The clip as it was made with `key`, with the named extras; None if there is none."""
        clip = self.earlier.get(clip_id)
        if clip is None or clip.key != key:
            return None
        self.taken += 1
        with h5py.File(self.folder / STORE, "r") as file:
            group = file[clip_id]
            found = {name: read_array(group[name]) for name in extras}
            return ClipFeatures(group["values"][:], found, list(clip.flags), clip.message)

    def array(self, clip_id: str) -> np.ndarray:
        """The array that was kept with a clip."""
        with np.load(self.folder / ARRAYS, allow_pickle=False) as arrays:
            return arrays[clip_id]

    def note(self, clip_id: str, key: str, features: ClipFeatures, array: np.ndarray | None = None) -> None:
        """Note a clip for `keep`; one that failed is tried again next time."""
        if self.code and "failed" not in features.flags:
            self.clips[clip_id] = KeptClip(key, list(features.flags), features.message)
            if array is not None:
                self.arrays[clip_id] = array

    def keep(self) -> None:
        """Keep the feature file, as it is now, with the clips that were noted, and print how many were made anew."""
        if not self.code:
            return
        with replacing(self.folder) as temporary:
            temporary.mkdir()
            link(self.output, temporary / STORE)
            if self.arrays:
                np.savez(temporary / ARRAYS, **self.arrays)
            files = {path.name: sha256_of(path) for path in sorted(temporary.iterdir())}
            content = {"files": files, "clips": {clip_id: asdict(clip) for clip_id, clip in self.clips.items()}}
            (temporary / KEY).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        print(f"{self.output.stem}: {len(self.clips) - self.taken} clips measured, {self.taken} kept")
