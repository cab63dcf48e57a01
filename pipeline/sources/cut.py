"""Cutting by what was decoded: each picture and each sound is placed by the time at which it is presented.

A file is read once from its beginning, for all of its clips; packets that no clip needs are passed over undecoded. Nothing is
sought by the container's index, which is absent or wrong in many files.
"""

import math
import os
import selectors
import subprocess
import wave
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import av
import ffmpeg
import numpy as np
import soxr

from pipeline.sources.media import ffmpeg_path
from pipeline.sources.source import Source, Track, open_file

SAFETY = 0.5  # s before the start of a clip at which decoding begins at the latest
LARGEST_JITTER = 0.02  # s by which a time stamp may differ from the end of the sound before, without a gap
FULL_RANGE, BT709 = 2, 1  # of a frame's color_range and colorspace
LARGEST_SIDE = 16384  # pixels, of what the encoder takes
# s for which the encoder may be waited for: at the least, and per second of the clip; 8K takes 10 per second on one core
PATIENCE, PATIENCE_PER_SECOND = 60.0, 60.0


@dataclass
class Span:
    """A clip to be cut, in seconds of the file's own clock; `end` None for all that there is."""

    stem: Path
    start: float
    end: float | None


@dataclass
class Cut:
    """What became of a clip.

    frames : how many were written. blank_before, blank_after : s of black at the start and end, where the file has no picture.
    lost : pictures of the clip that could not be decoded. samples : how many were written. complaint : of the decoder.
    failure : of the encoder, which gets nothing but plain pictures: a fault of the machine, not of the clip.
    """

    frames: int = 0
    blank_before: float = 0.0
    blank_after: float = 0.0
    lost: int = 0
    samples: int = 0
    complaint: str = ""
    failure: str = ""


class Picture:
    """Writes the pictures of one clip at a constant rate: frame i shows the last picture whose time rounds to i or before."""

    def __init__(self, span: Span, track: Track, rate: int):
        end = track.last if span.end is None else span.end
        self.start, self.rate, self.track = span.start, rate, track
        self.total = max(1, round((end - span.start) * rate))
        self.path = span.stem.with_name(span.stem.name + ".mp4")
        self.held: av.VideoFrame | None = None
        self.pending = self.written = self.blank_before = self.blank_after = self.seen = 0
        self.encoder = self.size = None
        self.patience = PATIENCE + PATIENCE_PER_SECOND * self.total / rate
        self.failure = self.complaint = ""
        self.bytes = b""
        self.time = -math.inf
        self.finished = False

    def add(self, time: float, frame: av.VideoFrame) -> bool:
        """Take the next picture; True once the clip is complete."""
        if time <= self.time:
            return False
        self.time = time
        index = math.floor((time - self.start) * self.rate + 0.5)
        self._write(min(index, self.total) - self.written)
        self.seen += self.start <= time < self.start + self.total / self.rate
        self.held, self.bytes = frame, b""
        complete = index >= self.total
        if complete:
            self.finish()  # at once: an encoder holds pictures, and a long film has more clips than there can be processes
        return complete

    def finish(self) -> None:
        """Write what is still missing, if that is not done yet: the last picture as long as it is shown, then black."""
        if self.finished:
            return
        self.finished = True
        last = math.floor((self.track.last - self.start) * self.rate + 0.5)
        if self.held is not None:
            self._write(min(max(last, self.written + 1), self.total) - self.written)
        if self.encoder is None:
            return
        self.blank_after = self.total - self.written
        self._put(self._black(), self.blank_after)
        self.written = self.total
        said = b""
        try:
            if not self.failure:
                _, said = self.encoder.communicate(timeout=max(0.1, self.patience))
        except subprocess.TimeoutExpired:
            self._give_up()
        if self.encoder.wait():
            self.path.unlink(missing_ok=True)
            self.written = 0
            told = " ".join(said.decode("utf-8", "replace").split()) or f"status {self.encoder.returncode}"
            self.failure = self.failure or f"ffmpeg stopped ({told})"

    def _write(self, count: int) -> None:
        if count <= 0:
            return
        if self.held is None:
            self.blank_before += count
        else:
            if self.encoder is None and not self._open():
                return
            self.bytes = self.bytes or planes(self.held, self.size, self.track.pixel_ratio)
            self._put(self.bytes, count)
        self.written += count

    def _open(self) -> bool:
        """Start the encoder with the black before the first picture; False of pictures that are too large for it."""
        width, height = upright_size(self.held, self.track.pixel_ratio)
        if max(width, height) > LARGEST_SIDE:
            self.complaint = f"pictures of {width} x {height} pixels are larger than {LARGEST_SIDE}"
            return False
        self.size = (even(width), even(height))
        given = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="yuv420p", s="{}x{}".format(*self.size), framerate=self.rate)
        if self.held.colorspace == BT709:
            given = given.filter("setparams", colorspace="bt709", color_primaries="bt709", color_trc="bt709", range="tv")
        encoder = {"vcodec": "libx264", "preset": "veryfast", "crf": 12, "pix_fmt": "yuv420p", "threads": 1}
        exact = {"map_metadata": -1, "fflags": "+bitexact", "flags": "+bitexact"}
        command = ffmpeg.output(given, f"file:{self.path}", **encoder, **exact).global_args("-loglevel", "error")
        self.encoder = command.run_async(cmd=ffmpeg_path(), pipe_stdin=True, pipe_stderr=True, overwrite_output=True)
        os.set_blocking(self.encoder.stdin.fileno(), False)
        self._put(self._black(), self.blank_before)
        return True

    def _black(self) -> bytes:
        width, height = self.size
        return b"\x10" * (width * height) + b"\x80" * (width * height // 2)

    def _put(self, picture: bytes, count: int) -> None:
        """Give the encoder a picture `count` times; one that has stopped, or that takes nothing, is given no more."""
        pipe = self.encoder.stdin.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_WRITE)
            for _ in range(0 if self.failure else count):
                left = memoryview(picture)
                while left:
                    begun = monotonic()
                    if not selector.select(max(0.1, self.patience)):
                        return self._give_up()
                    self.patience -= monotonic() - begun
                    try:
                        left = left[os.write(pipe, left) :]
                    except BrokenPipeError:
                        return None  # the encoder's own message tells why
        return None

    def _give_up(self) -> None:
        waited = PATIENCE + PATIENCE_PER_SECOND * self.total / self.rate
        self.failure = f"ffmpeg did not answer for {waited:.0f} s"
        self.encoder.kill()


def upright_size(frame: av.VideoFrame, pixel_ratio: float) -> tuple[int, int]:
    """Width and height of a picture with square pixels, turned upright."""
    width = round(frame.width * pixel_ratio)
    return (frame.height, width) if frame.rotation % 180 else (width, frame.height)


def even(side: int) -> int:
    """The even number that a side is cut to; the colours of 4:2:0 need pairs of pixels."""
    return max(2, side - side % 2)


def planes(frame: av.VideoFrame, size: tuple[int, int], pixel_ratio: float) -> bytes:
    """A picture as yuv420p of limited range and this even size, upright; one of another shape lies on black."""
    width, height = upright_size(frame, pixel_ratio)
    scale = min(size[0] / even(width), size[1] / even(height))
    if scale != 1:
        width, height = round(width * scale), round(height * scale)
    turned = bool(frame.rotation % 180)
    full = frame.color_range == FULL_RANGE or frame.format.name.startswith("yuvj")
    picture = frame.reformat(
        width=height if turned else width,
        height=width if turned else height,
        format="yuv420p",
        interpolation="BICUBIC",
        src_color_range=FULL_RANGE if full else None,
        dst_color_range=1 if full else None,
    )
    parts = []
    for number, plane in enumerate(picture.planes):
        small, black = (1, 16) if number == 0 else (2, 128)
        pixels = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        pixels = np.rot90(pixels, frame.rotation // 90)
        canvas = np.full((size[1] // small, size[0] // small), black, np.uint8)
        inner = pixels[: canvas.shape[0], : canvas.shape[1]]
        top, left = ((canvas.shape[i] - inner.shape[i]) // 2 for i in (0, 1))
        canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
        parts.append(canvas.tobytes())
    return b"".join(parts)


class Sound:
    """Collects the sound of one clip as runs without a gap, and writes it as one channel."""

    def __init__(self, span: Span, track: Track, rate: int):
        self.start, self.end = span.start, track.last if span.end is None else span.end
        self.rate, self.path = rate, span.stem.with_name(span.stem.name + ".wav")
        self.runs: list[tuple[float, int, list[np.ndarray]]] = []
        self.expected = -math.inf
        self.written: int | None = None

    def add(self, time: float, samples: np.ndarray, rate: int) -> bool:
        """Take the next samples; True once the clip is complete."""
        until = time + len(samples) / rate
        if until > self.start - SAFETY / 2 and time < self.end + SAFETY / 2:
            if not self.runs or self.runs[-1][1] != rate or abs(time - self.expected) > 0.5 / rate:
                self.runs.append((time, rate, []))
            self.runs[-1][2].append(samples)
            self.expected = until
        complete = time >= self.end + SAFETY / 2
        if complete:
            self.finish()  # at once: the sound of a long file need not be in memory as a whole
        return complete

    def finish(self) -> int:
        """Write the file, if that is not done yet and there is any sound; gives the number of samples."""
        if self.written is None:
            self.written = self._write()
            self.runs.clear()
        return self.written

    def _write(self) -> int:
        total = round((self.end - self.start) * self.rate)
        mono = np.zeros(total, np.float32)
        heard = False
        for time, rate, parts in self.runs:
            run = soxr.resample(np.concatenate(parts), rate, self.rate)
            first = round((time - self.start) * self.rate)
            run, first = run[max(0, -first) :], max(0, first)
            run = run[: max(0, total - first)]
            mono[first : first + len(run)] = run
            heard |= len(run) > 0
        if not heard:
            return 0
        with wave.open(str(self.path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.rate)
            file.writeframes(np.clip(np.rint(mono * 32768), -32768, 32767).astype("<i2").tobytes())
        return total


class Decoder:
    """Decodes those packets of a track that clips need, and hands on what comes out with its time."""

    def __init__(self, container: av.container.InputContainer, track: Track, parts: list):
        self.track, self.stream = track, container.streams[track.index]
        # Sound is decoded from its beginning: it costs little, and where it goes on without a gap it is placed by counting,
        # exact to the sample, although many containers round their time stamps to milliseconds.
        self.is_sound = self.stream.type == "audio"
        entries = [0 if self.is_sound else track.entry(part.start - SAFETY) for part in parts]
        self.waiting = sorted(zip(entries, range(len(parts)), parts, strict=True), reverse=True)
        self.open: list = []
        self.number = -1
        self.clock = track.first if track.counted else 0.0  # s, when the next picture or sound begins if there is no gap
        self.complaint = ""
        self.mixers: dict[tuple, av.AudioResampler] = {}

    def feed(self, packet: av.Packet) -> None:
        """Take the next packet of the track."""
        if packet.size == 0:
            self.drain()
            return
        self.number += 1
        while self.waiting and self.waiting[-1][0] <= self.number:
            self.open.append(self.waiting.pop()[2])
        if self.track.ordered:
            packet.pts = None
        if self.open:
            self._hand_on(packet)
            if not self.open:
                self.stream.codec_context.flush_buffers()

    def drain(self) -> None:
        """Get out what the decoder still holds at the end of the file."""
        if self.open:
            self._hand_on(None)

    @property
    def done(self) -> bool:
        return not self.open and not self.waiting

    def _hand_on(self, packet: av.Packet | None) -> None:
        try:
            frames = self.stream.codec_context.decode(packet)
        except av.FFmpegError as error:
            self.complaint = error.strerror or str(error)
            return
        for frame in frames:
            time, given = self._time(frame), self._given(frame)
            self.open = [part for part in self.open if not part.add(time, *given)]

    def _time(self, frame: av.VideoFrame | av.AudioFrame) -> float:
        stamp = None if self.track.counted else (frame.dts if frame.pts is None else frame.pts)
        time = self.clock if stamp is None else float(stamp * (frame.time_base or self.stream.time_base)) - self.track.delay
        if self.is_sound and abs(time - self.clock) <= LARGEST_JITTER:
            time = self.clock
        self.clock = time + (frame.samples / frame.sample_rate if self.is_sound else 1 / self.track.rate)
        return time

    def _given(self, frame: av.VideoFrame | av.AudioFrame) -> tuple:
        if isinstance(frame, av.VideoFrame):
            return (frame,)
        key = (frame.format.name, frame.layout.name, frame.sample_rate)
        if key not in self.mixers:
            self.mixers[key] = av.AudioResampler("fltp", "mono", frame.sample_rate)
        frame.pts = None
        mono = [part.to_ndarray()[0] for part in self.mixers[key].resample(frame)]
        return np.concatenate(mono) if mono else np.empty(0, np.float32), frame.sample_rate


def cut(path: str | Path, source: Source, spans: list[Span], frame_rate: int = 30, sample_rate: int = 22050) -> list[Cut]:
    """Write `<stem>.mp4` and `<stem>.wav` of each clip of a file, as far as the file has such a track.

    The picture is turned upright, its pixels made square and its sides even. Where the file has no picture (before the first,
    after the last) the clip is black, where it has no sound it is silent; a picture is shown until the next one.

    Parameters
    ----------
    path : str or Path
        The raw video.
    source : Source
        What `probe` found in it.
    spans : list of Span
        The clips.
    frame_rate, sample_rate : int
        Hz.

    Returns
    -------
    list of Cut
        One per span.
    """
    pictures = [Picture(span, source.picture, frame_rate) for span in spans] if source.picture else []
    sounds = [Sound(span, source.sound, sample_rate) for span in spans] if source.sound else []
    complaint = ""
    with open_file(path) as container:
        decoders = {}
        for track, parts in ((source.picture, pictures), (source.sound, sounds)):
            if track:
                decoders[track.index] = Decoder(container, track, parts)
        try:
            for packet in container.demux([decoder.stream for decoder in decoders.values()]):
                decoders[packet.stream.index].feed(packet)
                if all(decoder.done for decoder in decoders.values()):
                    break
        except av.FFmpegError as error:
            complaint = error.strerror or str(error)
            for decoder in decoders.values():
                decoder.drain()
        complaint = complaint or next((decoder.complaint for decoder in decoders.values() if decoder.complaint), "")
    cuts = [Cut(complaint=complaint) for _ in spans]
    for result, picture in zip(cuts, pictures, strict=False):
        picture.finish()
        result.complaint, result.failure = picture.complaint or complaint, picture.failure
        result.frames = picture.written if picture.encoder else 0
        result.blank_before, result.blank_after = picture.blank_before / frame_rate, picture.blank_after / frame_rate
        if decoders[source.picture.index].complaint:
            shown = sum(picture.start <= time < picture.start + picture.total / frame_rate for time in source.picture.times)
            result.lost = max(0, shown - picture.seen)
    for result, sound in zip(cuts, sounds, strict=False):
        result.samples = sound.finish()
    return cuts
