"""Add videos to a manifest: a row per stretch of speech, its text and labels left for a person to fill in.

    python -m pipeline.add_videos my_videos --manifest mine.csv

Every video of the folder, and of those in it, that the manifest does not name yet is cut where nobody speaks, into clips of 1
to 15 s. Rows that are there already are never touched, so the command can be given again when there are new videos. With
`--transcribe FOLDER`, a model of faster-whisper, the texts are drafted, and the column `draft` says `text` until a person has
looked at them. The sound of one video at a time is listened to, 16,000 Hz, by Silero VAD (features/speech.py).
"""

import argparse
import csv
import io
import sys
import tempfile
import unicodedata
import wave
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from features.speech import PAUSE, SAMPLE_RATE, WINDOW, clips_of, loudness, speech_probability, weights_file
from pipeline.base.command import UserError, run_command
from pipeline.base.io import replacing
from pipeline.sources.cut import Span, cut
from pipeline.sources.manifest_file import UTF16_MARKS, read_table
from pipeline.sources.manifest_table import COLUMNS, DRAFT
from pipeline.sources.names import LONGEST, MARKS, check_name, check_path
from pipeline.sources.source import probe

ENDINGS = {f".{name}" for name in "mp4 m4v mov mkv webm avi flv f4v ts mts m2ts mpg mpeg vob wmv asf 3gp ogv".split()}
MODEL_FILES = ("model.bin", "config.json", "tokenizer.json")  # faster-whisper would look for the last in the network
PORTION = 600 * SAMPLE_RATE // WINDOW * WINDOW  # samples of the sound that are decoded at a time
LONGEST_VIDEO = 6 * 3600.0  # s
Transcribe = Callable[[np.ndarray], str]  # mono sound of 16,000 Hz -> what is said


def videos_in(folder: Path) -> list[Path]:
    """The video files of a folder and of those in it, by name. Raises UserError if there is none."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the folder of the videos")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    found = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if not found:
        raise UserError(f"{folder}: no video in it; their names end with {', '.join(sorted(ENDINGS))}")
    return found


def name_for(video: Path, taken: set[str]) -> str:
    """A video_id like the file's name that no other video has, nor would have on a disk that takes a and A for the same."""
    stem = unicodedata.normalize("NFC", video.stem)
    letters = ["_" if letter in MARKS or not letter.isprintable() else letter for letter in stem]
    name = "".join(letters).strip(" .").encode()[: LONGEST - 10].decode(errors="ignore").strip(" .") or "video"
    try:
        check_name(name)
    except ValueError:
        name = "video"
    count, found, taken = 1, name, {other.casefold() for other in taken}
    while found.casefold() in taken:
        count += 1
        found = f"{name}_{count}"
    return found


def sound_of(video: Path, folder: Path) -> Iterator[np.ndarray]:
    """The sound of a video, mono float32 of 16,000 Hz, in portions, from second 0 of the manifest's clock.

    Raises UserError if the file cannot be read, has no sound, or would last for more than `LONGEST_VIDEO`.
    """
    source = probe(video)
    if source.error:
        raise UserError(f"{video}: it cannot be read ({source.error}); replace the file")
    if source.sound is None:
        raise UserError(f"{video}: it has no sound, in which speech could be found; write its rows by hand")
    if source.duration > LONGEST_VIDEO:
        hours = f"{source.duration / 3600:.0f} h, more than {LONGEST_VIDEO / 3600:.0f}"
        raise UserError(f"{video}: it lasts {hours}, or its time stamps jump; cut it into several files, or write it anew")
    seconds = PORTION / SAMPLE_RATE
    starts = np.arange(0, max(source.duration, 1e-3), seconds)
    spans = [
        Span(folder / str(number), source.start + start, source.start + min(start + seconds, source.duration))
        for number, start in enumerate(starts)
    ]
    try:
        cut(video, replace(source, picture=None), spans, sample_rate=SAMPLE_RATE)
    except OSError:  # of the disk, not of the film
        raise
    except Exception as error:  # whatever a decoder stops with, the other files go on
        raise UserError(f"{video}: it cannot be decoded ({type(error).__name__}: {error}); replace the file") from error
    for span in spans:
        path = span.stem.with_name(span.stem.name + ".wav")
        if not path.is_file():  # no sound here, but perhaps later
            yield np.zeros(round((span.end - span.start) * SAMPLE_RATE), np.float32)
            continue
        with wave.open(str(path), "rb") as file:
            yield np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        path.unlink()


def rows_for(video: Path, video_id: str, pause: float, transcribe: Transcribe | None) -> list[dict[str, str]]:
    """Cells of the manifest's columns of each clip of a video.

    Raises UserError if no manifest can hold the file's name, it cannot be heard, or nobody speaks in it.
    """
    try:
        check_path(str(video))
    except ValueError as error:
        raise UserError(f"{error}, which no manifest can hold; rename the file") from error
    with tempfile.TemporaryDirectory() as folder:
        portions = list(sound_of(video, Path(folder)))
    duration = sum(map(len, portions)) / SAMPLE_RATE
    clips = clips_of(speech_probability(portions), duration, pause, loudness(portions))
    if not clips:
        raise UserError(f"{video}: nobody speaks in it, as far as can be heard; write its rows by hand, or leave it out")
    samples = np.concatenate(portions) if transcribe else None
    rows = []
    for number, (start, end) in enumerate(np.round(clips, 2), start=1):
        row = {"video_id": video_id, "clip_id": f"{number:04d}", "path": str(video)}
        row |= {"start": f"{start:.2f}", "end": f"{end:.2f}"}
        if transcribe:
            text = transcribe(samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)])
            row |= {"text": text, DRAFT: "text" if text else ""}
        rows.append(row)
    return rows


def whisper(folder: Path) -> Transcribe:
    """A recogniser: faster-whisper with the model in a local folder. Raises UserError if one of the two is not there."""
    missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder}: no {missing[0]} in it; give the folder of a Whisper model that faster-whisper can read")
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise UserError(
            "faster-whisper, which drafts the texts, is not installed: pip install faster-whisper==1.2.1"
        ) from error
    try:
        model = WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True)
    except Exception as error:  # what is wrong with a model comes as many kinds of exception
        raise UserError(f"{folder}: no model that faster-whisper can read ({error}); get it anew") from error

    def transcribe(samples: np.ndarray) -> str:
        segments, _ = model.transcribe(samples, condition_on_previous_text=False)
        return "".join(segment.text for segment in segments).strip()

    return transcribe


def existing_rows(manifest: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a manifest; those of a new one if there is none. Raises UserError if it cannot be read."""
    if not manifest.exists():
        return list(COLUMNS), []
    columns, lines = read_table(manifest)
    missing = [name for name in ("video_id", "clip_id", "path", "start", "end") if name not in columns]
    if missing:
        raise UserError(f"{manifest}: missing column(s) {', '.join(missing)}; add them to its first line")
    return columns, [line.cells for line in lines]


def text_of(manifest: Path) -> tuple[str, str, str]:
    """What a manifest holds, its encoding, and its line end; of a new one what spreadsheets take for UTF-8."""
    content = manifest.read_bytes() if manifest.exists() else "\ufeff".encode()
    encoding = "utf-8"
    for mark, name in zip(UTF16_MARKS, ("utf-16-le", "utf-16-be"), strict=True):
        encoding = name if content.startswith(mark) else encoding
    text = content.decode(encoding)
    return text, encoding, "\r\n" if "\r\n" in text else "\n"


def append(manifest: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    """Write rows below those of a manifest, in its encoding and with its line ends; what stands there stays byte for byte."""
    before, encoding, end = text_of(manifest)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator=end, extrasaction="ignore", restval="")
    if not manifest.exists():
        writer.writeheader()
    writer.writerows(rows)
    gap = end if manifest.exists() and not before.endswith(("\n", "\r")) else ""
    with replacing(manifest) as temporary:
        temporary.write_bytes((before + gap + text.getvalue()).encode(encoding))


def with_draft_column(manifest: Path) -> None:
    """Give a manifest that has none the column in which drafts are marked, at its right; all else stays as it is."""
    text, encoding, _ = text_of(manifest)
    lines = io.StringIO(text, newline="").readlines()
    cell = DRAFT
    rows = csv.reader(list(lines))
    for cells in rows:
        if any(cells):
            line = lines[rows.line_num - 1]
            body = line.rstrip("\r\n")
            lines[rows.line_num - 1] = f"{body},{cell}{line[len(body) :]}"
            cell = ""
    with replacing(manifest) as temporary:
        temporary.write_bytes("".join(lines).encode(encoding))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the videos")
    parser.add_argument("--manifest", type=Path, required=True, help="CSV file to add rows to; made if it is not there")
    parser.add_argument(
        "--transcribe", type=Path, metavar="MODEL", help="folder of a faster-whisper model that drafts the texts"
    )
    parser.add_argument("--pause", type=float, default=PAUSE, help="s without speech that part two clips")
    arguments = parser.parse_args()
    transcribe = whisper(arguments.transcribe) if arguments.transcribe else None
    columns, rows = existing_rows(arguments.manifest)
    known = {Path(row["path"]).resolve() for row in rows if row["path"] and "\0" not in row["path"]}
    taken = {row["video_id"] for row in rows}
    new = [video for video in videos_in(arguments.folder) if video.resolve() not in known]
    weights_file()  # before the first video
    if transcribe and DRAFT not in columns:
        if arguments.manifest.exists():
            with_draft_column(arguments.manifest)
        columns.append(DRAFT)
    failed, added = 0, 0
    for video in tqdm(new, desc="listening", unit="video"):
        video_id = name_for(video, taken)
        try:
            found = rows_for(video, video_id, arguments.pause, transcribe)
        except UserError as error:
            failed += 1
            print(f"error: {error}", file=sys.stderr)
            continue
        append(arguments.manifest, columns, found)  # at once, so that a stop loses none
        taken.add(video_id)
        added += len(found)
    print(f"{arguments.manifest}: {added} clips of {len(new) - failed} new videos; fill in text, labels and mode")
    if failed:
        raise UserError(f"{failed} of {len(new)} new videos could not be added; see above")


if __name__ == "__main__":
    run_command(main)
