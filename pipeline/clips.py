"""Cut the clips of one video: 30 Hz video and 22,050 Hz mono sound, by time stamps.

    python -m pipeline.clips --manifest data_manifest.csv --video-id video_0001 --output build/clips/video_0001

The output folder holds `<clip_id>.mp4`, `<clip_id>.wav` and clips.csv, which has a row for every clip of the manifest
in its order: clip_id, video, audio (file names, empty where there is none), flags (';' between them), message.
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import ffmpeg
import pandas as pd
from tqdm import tqdm

from pipeline.io import replacing
from pipeline.manifest import rows_of_video
from pipeline.media import ffmpeg_path, ffprobe_path

# A text file called .mp4 may be a playlist that names other machines: only local files are ever opened.
LOCAL_ONLY = {"protocol_whitelist": "file"}


@dataclass
class Source:
    """What a raw video file holds; `error` is empty if it can be read."""

    duration: float = 0.0
    has_video: bool = False
    has_audio: bool = False
    error: str = ""


@dataclass
class Clip:
    """One row of clips.csv."""

    clip_id: str
    video: str = ""
    audio: str = ""
    flags: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def flag(self, name: str, message: str) -> None:
        self.flags.append(name)
        self.messages.append(message)


def probe(path: str | Path) -> Source:
    """Find out what streams a file has and how long it is (seconds)."""
    try:
        found = ffmpeg.probe(f"file:{path}", cmd=ffprobe_path(), **LOCAL_ONLY)
    except ffmpeg.Error as error:
        return Source(error=_last_line(error.stderr))
    kinds = [stream["codec_type"] for stream in found["streams"]]
    # A still picture inside a sound file (its cover) is no video.
    pictures = [stream for stream in found["streams"] if stream.get("disposition", {}).get("attached_pic")]
    return Source(
        duration=float(found["format"].get("duration", 0)),
        has_video=kinds.count("video") > len(pictures),
        has_audio="audio" in kinds,
        error="" if {"video", "audio"} & set(kinds) else "neither a video nor an audio stream",
    )


def cut(
    path: str | Path,
    source: Source,
    start: float | None,
    end: float | None,
    stem: Path,
    frame_rate: int = 30,
    sample_rate: int = 22050,
) -> tuple[int, str]:
    """Write `<stem>.mp4` and `<stem>.wav` for one clip, as far as the source has such a stream.

    ffmpeg decodes from the key frame before `start` and drops what lies before it, so the cut is exact to the frame.
    The picture is turned upright, its pixels made square and its sides even; a variable frame rate becomes constant by
    repeating or dropping frames by their time stamps; sound that begins late is preceded by silence.

    Parameters
    ----------
    path : str or Path
        The raw video.
    source : Source
        What `probe` found in it.
    start, end : float or None
        Seconds; None for the whole file.
    stem : Path
        Output path without suffix.
    frame_rate : int
        Hz.
    sample_rate : int
        Hz.

    Returns
    -------
    tuple of int and str
        The number of frames written (0 without video), and ffmpeg's complaint, if any.
    """
    span = {} if start is None else {"ss": f"{start:.6f}", "t": f"{end - start:.6f}"}
    given = ffmpeg.input(f"file:{path}", **LOCAL_ONLY, **span)
    plain = {"map_metadata": -1, "fflags": "+bitexact", "flags": "+bitexact", "threads": 1}
    video, audio = stem.with_name(stem.name + ".mp4"), stem.with_name(stem.name + ".wav")
    outputs = []
    if source.has_video:
        picture = (
            given.video.filter("scale", "iw*sar", "ih")
            .filter("setsar", 1)
            .filter("crop", "trunc(iw/2)*2", "trunc(ih/2)*2", 0, 0)
            .filter("fps", frame_rate, start_time=0)
        )
        encoder = {"vcodec": "libx264", "preset": "veryfast", "crf": 12, "pix_fmt": "yuv420p"}
        outputs.append(ffmpeg.output(picture, f"file:{video}", **encoder, **plain))
    if source.has_audio:
        sound = given.audio.filter("aresample", **{"async": 1, "first_pts": 0})
        outputs.append(ffmpeg.output(sound, f"file:{audio}", acodec="pcm_s16le", ar=sample_rate, ac=1, **plain))
    complaint = ""
    try:
        command = ffmpeg.merge_outputs(*outputs).global_args("-loglevel", "error", "-nostdin")
        _, stderr = command.run(cmd=ffmpeg_path(), capture_stdout=True, capture_stderr=True, overwrite_output=True)
        complaint = _last_line(stderr)
    except ffmpeg.Error as error:
        complaint = _last_line(error.stderr)
    frames = _frame_count(video) if source.has_video else 0
    if frames == 0:
        video.unlink(missing_ok=True)
    if audio.exists() and audio.stat().st_size <= 1024 and not _has_samples(audio):
        audio.unlink()
    return frames, complaint


def cut_video(rows: pd.DataFrame, folder: Path, frame_rate: int = 30, sample_rate: int = 22050) -> list[Clip]:
    """Cut all clips of one video into `folder`; a clip that fails is flagged and the others go on.

    Parameters
    ----------
    rows : pd.DataFrame
        The manifest rows of the video.
    folder : Path
        An existing folder for the clips.
    frame_rate, sample_rate : int
        Hz, of video and sound.

    Returns
    -------
    list of Clip
        One per row, in order.
    """
    sources = {path: probe(path) for path in rows["path"].unique()}
    clips = []
    for row in tqdm(list(rows.itertuples()), desc=f"clips {rows.video_id.iloc[0]}", unit="clip"):
        clip = Clip(row.clip_id)
        clips.append(clip)
        name, source = f"{row.video_id}/{row.clip_id}", sources[row.path]
        if source.error:
            clip.flag("unreadable_video", f"{name}: {row.path} cannot be read ({source.error}); replace the file")
            continue
        whole = pd.isna(row.start)
        start, end = (None, None) if whole else (row.start, row.end)
        if not whole and start >= source.duration:
            clip.flag(
                "start_beyond_video",
                f"{name}: start {start} s lies beyond the end of {row.path} ({source.duration:.2f} s); correct start and end",
            )
            continue
        if not whole and end > source.duration + 1 / frame_rate:
            clip.flag(
                "end_beyond_video",
                f"{name}: end {end} s lies beyond the end of {row.path} ({source.duration:.2f} s), the clip was cut short; "
                "correct end",
            )
            end = source.duration
        frames, complaint = cut(row.path, source, start, end, folder / row.clip_id, frame_rate, sample_rate)
        clip.video = f"{row.clip_id}.mp4" if (folder / f"{row.clip_id}.mp4").exists() else ""
        clip.audio = f"{row.clip_id}.wav" if (folder / f"{row.clip_id}.wav").exists() else ""
        expected = round(((source.duration if whole else end) - (0 if whole else start)) * frame_rate)
        if not clip.video:
            reason = complaint or "the file has no video stream"
            clip.flag("no_video", f"{name}: no picture from {row.path} ({reason}); replace the file or correct the times")
        elif frames < expected - 2:
            clip.flag(
                "truncated",
                f"{name}: only {frames} of {expected} frames could be read from {row.path} ({complaint or 'it ends early'}); "
                "replace the file",
            )
        if not clip.audio:
            reason = complaint or "the file has no audio stream"
            clip.flag("no_audio", f"{name}: no sound from {row.path} ({reason}); replace the file or correct the times")
    return clips


def read_clips(folder: str | Path) -> list[Clip]:
    """Read clips.csv of a clips folder, in order."""
    table = pd.read_csv(Path(folder) / "clips.csv", dtype=str, keep_default_na=False)
    return [
        Clip(row.clip_id, row.video, row.audio, [flag for flag in row.flags.split(";") if flag], [row.message])
        for row in table.itertuples()
    ]


def _frame_count(path: Path) -> int:
    if not path.exists():
        return 0
    try:
        streams = ffmpeg.probe(f"file:{path}", cmd=ffprobe_path(), select_streams="v")["streams"]
    except ffmpeg.Error:
        return 0
    return int(streams[0].get("nb_frames", 0)) if streams else 0


def _has_samples(path: Path) -> bool:
    try:
        return float(ffmpeg.probe(f"file:{path}", cmd=ffprobe_path())["format"].get("duration", 0)) > 0
    except ffmpeg.Error:
        return False


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--video-id", required=True)
    parser.add_argument("--output", required=True, help="folder for the clips")
    parser.add_argument("--frame-rate", type=int, default=30, help="Hz")
    parser.add_argument("--sample-rate", type=int, default=22050, help="Hz")
    arguments = parser.parse_args()
    rows = rows_of_video(arguments.manifest, arguments.video_id)
    with replacing(arguments.output) as folder:
        folder.mkdir()
        clips = cut_video(rows, folder, arguments.frame_rate, arguments.sample_rate)
        table = pd.DataFrame(
            [
                {
                    "clip_id": clip.clip_id,
                    "video": clip.video,
                    "audio": clip.audio,
                    "flags": ";".join(clip.flags),
                    "message": " ".join(clip.messages),
                }
                for clip in clips
            ]
        )
        table.to_csv(folder / "clips.csv", index=False)


if __name__ == "__main__":
    main()
