"""Clips that an earlier call has cut, kept beside the output folder as `pipeline.base.kept_clips` keeps features."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from features.hashing import sha256_of
from pipeline.base.io import replacing
from pipeline.base.kept import KEY, key_of, link
from pipeline.base.store import versions_of
from pipeline.sources.clip_table import Clip
from pipeline.sources.media import ffmpeg_path


class KeptCuts:
    """The clips of a video as an earlier call with the same settings and code cut them.

    Clips of a file of which any clip had a flag are all cut anew: what is said of one may come from another.

    Parameters
    ----------
    output : Path
        The folder of the clips, <folder>/<video_id>.
    settings : tuple
        Of the cutting.
    code : sequence of str
        Files of code that the clips depend on.
    rows : pd.DataFrame
        The manifest rows of the video.
    """

    def __init__(self, output: Path, settings: tuple, code: Sequence[str], rows: pd.DataFrame):
        self.folder = output.parent / ".kept" / output.name
        program = Path(ffmpeg_path()).stat()
        versions = versions_of("av", "numpy", "soxr") | {"ffmpeg": [ffmpeg_path(), program.st_size, program.st_mtime_ns]}
        self.common = key_of({"settings": settings, "versions": versions}, code)
        self.keys = {row.clip_id: self._key(row) for row in rows.itertuples()}
        self.paths = dict(zip(rows["clip_id"], rows["path"], strict=True))
        self.earlier: dict[str, dict] = {}
        self.taken = 0
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # nothing kept, or nothing of use
            self.earlier = json.loads((self.folder / KEY).read_text(encoding="utf-8"))

    def _key(self, row: tuple) -> str:
        try:
            state = Path(row.path).stat()
            file = [row.path, state.st_size, state.st_mtime_ns]
        except OSError:
            file = [row.path]
        return key_of({"file": file, "start": row.start, "end": row.end, "common": self.common}, [])

    def take(self, clip: Clip, folder: Path) -> bool:
        """Put the files of a clip in place, if it was cut before in the same way."""
        found = self.earlier.get(clip.clip_id)
        if not found or found["key"] != self.keys[clip.clip_id]:
            return False
        try:
            if any(sha256_of(self.folder / name) != digest for name, digest in found["files"].items()):
                return False
        except OSError:
            return False
        for name in found["files"]:
            link(self.folder / name, folder / name)
        clip.video, clip.audio = found["video"], found["audio"]
        self.taken += 1
        return True

    def keep(self, output: Path, clips: Sequence[Clip], without: Sequence[str] = ()) -> None:
        """Keep the clips of a folder, but those named in `without`."""
        clips = [clip for clip in clips if clip.clip_id not in without]
        flagged = {self.paths[clip.clip_id] for clip in clips if clip.flags}
        content = {}
        with replacing(self.folder) as temporary:
            temporary.mkdir()
            for clip in clips:
                if self.paths[clip.clip_id] in flagged:
                    continue
                names = [name for name in (clip.video, clip.audio) if name]
                for name in names:
                    link(output / name, temporary / name)
                files = {name: sha256_of(output / name) for name in names}
                key = self.keys[clip.clip_id]
                content[clip.clip_id] = {"key": key, "video": clip.video, "audio": clip.audio, "files": files}
            (temporary / KEY).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        print(f"{self.folder.name}: {len(clips) - self.taken} clips cut, {self.taken} kept")
