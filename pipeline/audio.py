"""Audio features of one video's clips.

python -m pipeline.audio --clips build/clips/video_0001 --output build/features/audio/video_0001.h5
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from filelock import FileLock
from tqdm import tqdm

from features.audio import FRAME_RATE, AudioSettings, column_names, column_units, extract_audio
from features.pitch import PACKAGES, SAMPLE_RATE, SILENCE, TRACKERS, weights_of
from pipeline.base.command import UserError, run_command
from pipeline.base.kept_clips import CODE_HELP, KeptFeatures
from pipeline.base.store import ClipFeatures, StoreAttributes, versions_of, write_store
from pipeline.sources.clip_table import read_clips, read_wav

LITTLE_VOICED = 0.1  # the share of voiced frames below which a clip is flagged
# One for all processes of a machine.
COMPILING = Path(tempfile.gettempdir()) / "audio_features_compiling.lock"


def compile_functions(settings: AudioSettings) -> None:
    """Have librosa's compiled functions compiled, by one process at a time.

    numba keeps what it compiles in files beside librosa. Processes that compile the same functions for the first time
    at the same time can take each other's files for their own, and whoever uses them later crashes.
    """
    with FileLock(COMPILING, mode=0o666):
        extract_audio(np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32), settings)


def extract_clips(folder: Path, settings: AudioSettings, kept: KeptFeatures) -> Iterator[tuple[str, ClipFeatures]]:
    """Features of every clip of a clips folder, in order; a clip without usable sound has no frames, or a flag."""
    nothing = np.zeros((0, len(column_names(settings))), np.float32)
    for clip in tqdm(read_clips(folder), desc=f"audio {folder.name}", unit="clip"):
        name = f"{folder.name}/{clip.clip_id}"
        if not clip.audio:
            yield clip.clip_id, ClipFeatures(nothing, flags=["no_audio"], message=f"{name}: no sound; see its clips.csv")
            continue
        key = kept.key(clip.clip_id, [folder / clip.audio])
        if features := kept.take(clip.clip_id, key, ()):
            kept.note(clip.clip_id, key, features)
            yield clip.clip_id, features
            continue
        samples = read_wav(folder / clip.audio)
        features = ClipFeatures(extract_audio(samples, settings))
        if np.sqrt(np.mean(samples**2)) < SILENCE:
            features.flags, features.message = ["silent"], f"{name}: the sound is silence; check the recording"
        elif settings.first == "log_f0" and (voiced := np.mean(features.values[:, 0] > 0)) < LITTLE_VOICED:
            message = f"{name}: {voiced:.0%} of the frames are voiced; check the recording, and start and end in the manifest"
            features.flags, features.message = ["little_voiced"], message
        kept.note(clip.clip_id, key, features)
        yield clip.clip_id, features


def extract(folder: Path, output: Path, settings: AudioSettings, code: Sequence[str] = ()) -> None:
    """Write the audio store of the clips in `folder`. Raises FileNotFoundError if the folder has no clips.csv.

    code : see `pipeline.base.kept_clips`
    """
    tracker = settings.f0 if settings.first == "log_f0" else None
    attributes = StoreAttributes(
        columns=column_names(settings),
        units=column_units(settings),
        frame_rate=FRAME_RATE,
        extractor="librosa",
        settings=asdict(settings),
        versions=versions_of("librosa", "numpy", *PACKAGES[tracker]),
        weights=weights_of(tracker),
    )
    kept = KeptFeatures(output, attributes, code)
    write_store(output, extract_clips(folder, settings, kept), attributes)
    kept.keep()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, help="folder of one video's clips")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--first", default="log_f0", help="column 0: log_f0 or zcr")
    parser.add_argument("--f0", default="swift_f0", choices=list(TRACKERS), help="what finds F0")
    parser.add_argument("--f0-min", type=float, default=65.0, help="Hz")
    parser.add_argument("--f0-max", type=float, default=600.0, help="Hz")
    parser.add_argument("--code", nargs="+", default=[], help=CODE_HELP)
    arguments = parser.parse_args()
    try:
        settings = AudioSettings(arguments.first, arguments.f0, arguments.f0_min, arguments.f0_max)
    except ValueError as error:
        raise UserError(f"audio: {error}") from error
    compile_functions(settings)
    extract(arguments.clips, arguments.output, settings, arguments.code)


if __name__ == "__main__":
    run_command(main)
