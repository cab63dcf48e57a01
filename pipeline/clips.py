"""Cut the clips of one video: 30 Hz video and 22,050 Hz mono sound, by time stamps.

    python -m pipeline.clips --manifest data_manifest.csv --video-id video_0001 --output build/clips/video_0001

The output folder holds `<clip_id>.mp4`, `<clip_id>.wav` and clips.csv, which has a row for every clip of the manifest
in its order: clip_id, video, audio (file names, empty where there is none), flags (';' between them), message.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from pipeline.base.command import run_command
from pipeline.base.io import replacing
from pipeline.base.kept_clips import CODE_HELP
from pipeline.sources.clip_table import Clip, read_clips
from pipeline.sources.cut import Cut, Span, cut
from pipeline.sources.kept_cuts import KeptCuts
from pipeline.sources.manifest_table import rows_of_video
from pipeline.sources.source import Source, probe

# s of the picture that may be missing at an end of a clip without a word: codecs begin and end unevenly
LARGEST_GAP = 0.1
LONGEST_CLIP = 3600.0  # s; what lasts longer is a film, or a file that lies about its times and would be hours of nothing
LONGER_SOUND = 0.5  # s by which the sound of a whole file may outlast its picture without a word


class EncoderError(OSError):
    """ffmpeg, which gets nothing but plain pictures, failed."""


def cut_video(
    rows: pd.DataFrame,
    folder: Path,
    frame_rate: int = 30,
    sample_rate: int = 22050,
    audio_track: int | None = None,
    kept: KeptCuts | None = None,
) -> list[Clip]:
    """Cut all clips of one video into `folder`; a clip that fails is flagged and the others go on.

    Parameters
    ----------
    rows : pd.DataFrame
        The manifest rows of the video.
    folder : Path
        An existing folder for the clips.
    frame_rate, sample_rate : int
        Hz, of video and sound.
    audio_track : int or None
        See `probe`.
    kept : KeptCuts or None
        Clips of an earlier call, which are not cut again.

    Returns
    -------
    list of Clip
        One per row, in order.

    Raises
    ------
    EncoderError
        If the encoder failed: a fault of the machine, which says nothing of the clips. All others are cut by then, and kept.
    """
    failures, clips = [], [Clip(row.clip_id) for row in rows.itertuples()]
    of_path = {path: np.flatnonzero(rows["path"] == path) for path in rows["path"].unique()}
    for path, chosen in tqdm(of_path.items(), desc=f"clips {rows.video_id.iloc[0]}", unit="file"):
        if kept:
            chosen = [i for i in chosen if not kept.take(clips[i], folder)]
            if not chosen:
                continue
        source, spans = probe(path, audio_track), {}
        for i in chosen:
            span = span_of(clips[i], rows.iloc[i], source, folder)
            if span:
                spans[i] = span
        try:
            cuts = cut(path, source, list(spans.values()), frame_rate, sample_rate) if spans else []
        except OSError:  # of the disk, not of the film
            raise
        except Exception as error:  # whatever a decoder stops with, the other files go on
            for i in spans:
                said = " ".join(f"{type(error).__name__}: {error}".split())
                name = f"{rows.video_id.iloc[i]}/{clips[i].clip_id}"
                clips[i].flag("failed", f"{name}: {path} could not be cut ({said}); write the file anew with another program")
            continue
        for (i, span), result in zip(spans.items(), cuts, strict=True):
            note(clips[i], rows.iloc[i], source, span, result)
            if result.failure:
                failures.append((clips[i], f"{rows.video_id.iloc[i]}/{clips[i].clip_id}: {result.failure}"))
    if failures:
        if kept:
            kept.keep(folder, clips, without=[clip.clip_id for clip, _ in failures])
        raise EncoderError(f"{failures[0][1]}; {len(failures)} of {len(clips)} clips were not cut; run again")
    return clips


def span_of(clip: Clip, row: pd.Series, source: Source, folder: Path) -> Span | None:
    """Where a clip lies in its file; flags the clip, and gives None if there is nothing to cut."""
    name = f"{row.video_id}/{row.clip_id}"
    if source.error:
        clip.flag("unreadable_video", f"{name}: {row.path} cannot be read ({source.error}); replace the file")
        return None
    stem = folder / row.clip_id
    is_whole = pd.isna(row.start)
    length = source.duration if is_whole else min(row.end, source.duration) - row.start
    if length > LONGEST_CLIP:
        cure = "give start and end of what is said (python -m pipeline.add_videos finds it), or write the file anew"
        clip.flag("too_long", f"{name}: {length:.0f} s of {row.path}, more than {LONGEST_CLIP:.0f}, are no clip; {cure}")
        return None
    if is_whole:
        return Span(stem, source.start, None)
    end = row.end
    if end > source.duration + LARGEST_GAP and source.breaks_off:
        clip.flag(
            "truncated",
            f"{name}: {row.path} breaks off at {source.duration:.2f} s of {source.promised:.2f} s; replace the file",
        )
        end = source.duration
    elif row.start >= source.duration:
        clip.flag(
            "start_beyond_video",
            f"{name}: start {row.start} s lies beyond the end of {row.path} ({source.duration:.2f} s); correct start and end",
        )
    elif end > source.duration + LARGEST_GAP:
        clip.flag(
            "end_beyond_video",
            f"{name}: end {row.end} s lies beyond the end of {row.path} ({source.duration:.2f} s), the clip was cut short; "
            "correct end",
        )
        end = source.duration
    return Span(stem, source.start + row.start, source.start + end) if row.start < source.duration else None


def note(clip: Clip, row: pd.Series, source: Source, span: Span, result: Cut) -> None:
    """Write down what was cut, and flag what is missing."""
    name = f"{row.video_id}/{row.clip_id}"
    clip.video = f"{row.clip_id}.mp4" if result.frames else ""
    clip.audio = f"{row.clip_id}.wav" if result.samples else ""
    if span.end is None and source.breaks_off:
        clip.flag(
            "truncated",
            f"{name}: {row.path} breaks off at {source.duration:.2f} s of {source.promised:.2f} s; replace the file",
        )
    if not clip.video:
        reason = result.complaint or ("the file has no video stream" if source.picture is None else "none in these times")
        clip.flag("no_video", f"{name}: no picture from {row.path} ({reason}); replace the file or correct the times")
    for seconds, flag, where in (
        (result.blank_before, "picture_starts_late", "first"),
        (result.blank_after, "picture_ends_early", "last"),
    ):
        if clip.video and seconds > LARGEST_GAP:
            clip.flag(
                flag,
                f"{name}: {row.path} has no picture in the {where} {seconds:.2f} s of the clip, it is black; correct the times",
            )
    if span.end is None and source.picture and source.sound and source.sound.last - source.picture.last > LONGER_SOUND:
        clip.flag(
            "picture_ends_early",
            f"{name}: {row.path} has no picture in its last {source.sound.last - source.picture.last:.2f} s, the features of "
            "the face end before those of the voice; give start and end",
        )
    if result.lost:
        clip.flag(
            "damaged_video",
            f"{name}: {result.lost} pictures of {row.path} cannot be decoded ({result.complaint}); replace the file",
        )
    if not clip.audio:
        reason = "the file has no audio stream" if source.sound is None else "none in these times"
        clip.flag("no_audio", f"{name}: no sound from {row.path} ({reason}); replace the file or correct the times")
    if source.sound_tracks > 1:
        clip.flag(
            "several_sound_tracks",
            f"{name}: {row.path} has {source.sound_tracks} sound tracks; another is chosen by `clips: audio_track`",
        )
    steps = [step for track in (source.picture, source.sound) if track for step in track.steps]
    if steps:
        before, after = (moment - source.start for moment in steps[0])
        clip.flag(
            "time_stamps_jump",
            f"{name}: the time stamps of {row.path} jump from {before:.2f} to {after:.2f} s; write the file anew without them",
        )


def make_clips(
    rows: pd.DataFrame,
    folder: Path,
    frame_rate: int = 30,
    sample_rate: int = 22050,
    audio_track: int | None = None,
    kept: KeptCuts | None = None,
) -> None:
    """`cut_video` into a new folder, with its clips.csv."""
    folder.mkdir()
    table = pd.DataFrame(
        [
            {
                "clip_id": clip.clip_id,
                "video": clip.video,
                "audio": clip.audio,
                "flags": ";".join(clip.flags),
                "message": " ".join(clip.messages),
            }
            for clip in cut_video(rows, folder, frame_rate, sample_rate, audio_track, kept)
        ]
    )
    table.to_csv(folder / "clips.csv", index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--video-id", required=True)
    parser.add_argument("--output", required=True, type=Path, help="folder for the clips")
    parser.add_argument("--frame-rate", type=int, default=30, help="Hz")
    parser.add_argument("--sample-rate", type=int, default=22050, help="Hz")
    parser.add_argument("--audio-track", type=int, help="which sound track, from 1; else the default one")
    parser.add_argument("--code", nargs="+", default=[], help=CODE_HELP)
    arguments = parser.parse_args()
    rows = rows_of_video(arguments.manifest, arguments.video_id)
    settings = (arguments.frame_rate, arguments.sample_rate, arguments.audio_track)
    kept = KeptCuts(arguments.output, settings, arguments.code, rows) if arguments.code else None
    with replacing(arguments.output) as folder:
        make_clips(rows, folder, *settings, kept)
    if kept:
        kept.keep(arguments.output, read_clips(arguments.output))


if __name__ == "__main__":
    run_command(main)
