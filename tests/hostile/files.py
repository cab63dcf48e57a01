"""Files that nobody should have to deal with, made by code: name -> how it is made, and what cutting a clip of it says.

    python -m tests.hostile.files

makes them, with more containers cut at more places than the tests do, cuts a clip of each, and prints what is said of it.
"""

import struct
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.clips import cut_video
from pipeline.sources.manifest_table import COLUMNS
from pipeline.sources.media import ffmpeg_path

PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n"
HUGE_GIF = b"GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x02L\x01\x00;"
SESSION = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"
CONTAINERS = ("mp4", "mkv", "ts", "avi", "flv", "webm", "mpg", "wmv")
PLACES = 30  # at which a container is cut short


@dataclass(frozen=True)
class Case:
    """A file, the flags that its clip must have, and those that it may have as well."""

    name: str
    make: Callable[[Path], None]
    flags: frozenset[str]
    perhaps: frozenset[str] = frozenset()


def ffmpeg(path: Path, *options: str) -> None:
    subprocess.run([ffmpeg_path(), "-y", "-loglevel", "error", *options, str(path)], check=True, timeout=120)


def picture(size: str = "64x48", rate: int = 30, seconds: float = 1.0) -> list[str]:
    return ["-f", "lavfi", "-i", f"testsrc=size={size}:rate={rate}:duration={seconds}"]


def sound(rate: int = 44100, seconds: float = 1.0, layout: str = "mono", volume: float = 0.5) -> list[str]:
    expression = f"aevalsrc='{volume}*sin(2*PI*200*t)':s={rate}:d={seconds}"
    return ["-f", "lavfi", "-i", f"{expression},aformat=channel_layouts={layout}"]


def film(*inputs: list[str], codecs: tuple[str, ...] = ()) -> Callable[[Path], None]:
    options = [option for given in inputs for option in given]
    return lambda path: ffmpeg(path, *options, *codecs)


@cache
def whole(suffix: str) -> bytes:
    """A film of two seconds in a container."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"whole.{suffix}"
        faststart = ("-movflags", "+faststart") if suffix == "mp4" else ()
        ffmpeg(path, *picture(seconds=2), *sound(seconds=2), "-g", "15", *faststart)
        return path.read_bytes()


def cut_short(suffix: str, share: float) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        content = whole(suffix)
        path.write_bytes(content[: int(len(content) * share)])

    return make


def content(data: bytes | str) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data if isinstance(data, bytes) else data.encode())


def still(path: Path) -> None:
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(path)


def moving(path: Path) -> None:
    first, *others = (Image.fromarray(np.full((48, 64, 3), 10 * i, np.uint8)) for i in range(20))
    first.save(path, save_all=True, append_images=others, duration=50)


def wave_file(rate: int, channels: int = 1) -> bytes:
    """A sound file of 20,000 samples whose header says what it is told to."""
    form = struct.pack("<IHHIIHH", 16, 1, channels, rate, 2 * rate & 0xFFFFFFFF, 2, 16)
    return b"RIFF" + struct.pack("<I", 40036) + b"WAVEfmt " + form + b"data" + struct.pack("<I", 40000) + bytes([1, 2]) * 20000


def picture_file(rate: str) -> bytes:
    """A film of three pictures whose header says what rate it is told to."""
    return f"YUV4MPEG2 W64 H48 F{rate} Ip A1:1 C420jpeg\n".encode() + (b"FRAME\n" + bytes(64 * 48 * 3 // 2)) * 3


def leap(seconds: int) -> Callable[[Path], None]:
    """A film of two seconds in the middle of which the clock leaps ahead."""
    times = f"setpts='if(gte(T,1),PTS+{seconds}/TB,PTS)'"
    options = ("-vf", times, "-af", f"a{times}", "-fps_mode", "passthrough", "-c:a", "pcm_s16le")
    return film(picture(seconds=2), sound(16000, seconds=2), codecs=options)


def covered(path: Path) -> None:
    """A sound file with a cover, which is no film."""
    still(cover := path.with_suffix(".jpg"))
    options = ("-i", str(cover), "-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic")
    ffmpeg(path, *sound(), *options)
    cover.unlink()


def _set(*flags: str) -> frozenset[str]:
    return frozenset(flags)


def cases(secret: Path, containers: Sequence[str] = CONTAINERS[:3], places: int = 10) -> list[Case]:
    """All files; `secret` is a good film that none of them may lead to; each container is cut short at so many places."""
    target, address = secret.name, "http://127.0.0.1:9/x.mp4"
    unreadable = _set("unreadable_video")
    broken = _set(
        "unreadable_video", "truncated", "no_video", "no_audio", "damaged_video", "picture_ends_early", "end_beyond_video"
    )
    found = [
        Case(f"cut_{suffix}_{part}.{suffix}", cut_short(suffix, (part + 1) / (places + 1)), _set(), broken)
        for suffix in containers
        for part in range(places)
    ]
    rawvideo, pcm = ("-c:v", "ffv1"), ("-c:a", "pcm_s16le")
    several = [*picture(), *sound(), *sound(8000)]
    found += [
        Case("empty.mp4", content(b""), unreadable),
        Case("zeros.mp4", content(bytes(100_000)), unreadable),
        Case("noise.mp4", content(np.random.default_rng(0).bytes(100_000)), unreadable, broken),
        Case("text.mp4", content("This is no video.\n"), unreadable),
        Case("webpage.mp4", content("<!DOCTYPE html><html><body>404</body></html>"), unreadable),
        Case("zip.mp4", content(b"PK\x03\x04" + bytes(1000)), unreadable),
        Case("matroska_called.mp4", lambda path: path.write_bytes(whole("mkv")), _set()),
        Case("mp4_called.avi", lambda path: path.write_bytes(whole("mp4")), _set()),
        Case("one_frame.mp4", film(picture(seconds=0.04)), _set("no_audio"), _set("picture_ends_early")),
        Case("one_pixel.mkv", film(picture("1x1"), sound(), codecs=(*rawvideo, *pcm)), _set(), _set("no_video")),
        Case("wide_pixels.mkv", film(picture(), sound(), codecs=("-vf", "setsar=1000/1", *pcm)), _set()),
        Case("8k.mp4", film(picture("7680x4320", seconds=0.1), codecs=("-preset", "ultrafast")), _set("no_audio")),
        Case("5_fps.mp4", film(picture(rate=5), sound()), _set(), _set("picture_ends_early")),
        Case("240_fps.mp4", film(picture(rate=240), sound()), _set()),
        Case("sound_is_longer.mp4", film(picture(), sound(seconds=3)), _set("picture_ends_early")),
        Case("picture_is_longer.mp4", film(picture(seconds=3), sound()), _set()),
        Case("8_khz.mkv", film(picture(), sound(8000), codecs=pcm), _set()),
        Case("96_khz.mkv", film(picture(), sound(96000), codecs=pcm), _set()),
        Case("stereo.mp4", film(picture(), sound(layout="stereo")), _set()),
        Case("5_1.mkv", film(picture(), sound(layout="5.1"), codecs=pcm), _set()),
        Case("7_1.mkv", film(picture(), sound(layout="7.1"), codecs=pcm), _set()),
        Case("clipped.mkv", film(picture(), sound(volume=20), codecs=pcm), _set()),
        Case("silent.mkv", film(picture(), sound(volume=0), codecs=pcm), _set()),
        Case("sound_alone.mp4", film(sound()), _set("no_video")),
        Case("sound_alone.wav", film(sound()), _set("no_video")),
        Case("picture_alone.webm", film(picture()), _set("no_audio")),
        Case("two_tracks.mkv", film(several, codecs=(*"-map 0 -map 1 -map 2".split(), *pcm)), _set("several_sound_tracks")),
        Case("covered.m4a", covered, _set("no_video")),
        Case("a_day_ahead.mkv", leap(86400), _set("too_long")),
        Case("a_minute_ahead.mkv", leap(61), _set("time_stamps_jump")),
        Case("a_sample_a_second.wav", content(wave_file(1)), _set("too_long")),
        Case("no_channel.wav", content(wave_file(16000, channels=0)), unreadable),
        Case("255_channels.wav", content(wave_file(16000, channels=255)), _set("no_video", "no_audio")),
        Case("no_rate.wav", content(wave_file(0)), unreadable),
        Case("largest_rate.wav", content(wave_file(4_000_000_000)), unreadable),
        Case("a_picture_in_days.y4m", content(picture_file("1:1000000")), _set("too_long")),
        Case("a_million_pictures_a_second.y4m", content(picture_file("1000000:1")), _set("no_audio")),
        Case("a_picture.png", still, _set("no_audio"), broken),
        Case("a_moving_picture.gif", moving, _set("no_audio"), broken),
        Case("huge.y4m", content("YUV4MPEG2 W100000 H100000 F25:1 Ip A1:1 C420jpeg\nFRAME\nxxxx"), unreadable, broken),
        Case("huge.gif", content(HUGE_GIF), _set(), broken),
        Case("list_of_a_file.m3u8", content(PLAYLIST.format(target=target)), unreadable),
        Case("list_of_a_file.mp4", content(PLAYLIST.format(target=target)), unreadable),
        Case("list_of_an_address.m3u8", content(PLAYLIST.format(target=address)), unreadable),
        Case("list_of_an_address.mp4", content(PLAYLIST.format(target=address)), unreadable),
        Case("joined.ffconcat", content(f"ffconcat version 1.0\nfile '{target}'\n"), unreadable),
        Case("joined.mp4", content(f"ffconcat version 1.0\nfile '{target}'\n"), unreadable),
        Case("joined_address.txt", content(f"ffconcat version 1.0\nfile '{address}'\n"), unreadable),
        Case("session.sdp", content(SESSION), unreadable),
        Case("manifest.mpd", content('<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>'), unreadable),
        Case("subtitles.srt", content("1\n00:00:00,000 --> 00:00:01,000\nhello\n"), unreadable),
        Case("titles.idx", content("# VobSub index file, v7\ntimestamp: 00:00:01:000, filepos: 0\n"), unreadable),
    ]  # fmt: skip
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ffmpeg(folder / "good.mp4", *picture(), *sound())
        found = cases(folder / "good.mp4", CONTAINERS, PLACES)
        wrong = 0
        for case in found:
            case.make(folder / case.name)
            row = {"video_id": "v", "clip_id": case.name.replace(".", "_"), "path": str(folder / case.name)}
            rows = pd.DataFrame([row], columns=COLUMNS).astype({"start": float, "end": float})
            (clip,) = cut_video(rows, folder)
            fine = case.flags <= set(clip.flags) <= case.flags | case.perhaps
            wrong += not fine
            said = " ".join(clip.messages).replace(f"{folder}/", "") or "cut"
            print(f"{'' if fine else 'WRONG '}{case.name}: {said}", flush=True)
    print(f"{len(found)} bad files, {wrong} with another outcome than they should have")
    raise SystemExit(wrong > 0)


if __name__ == "__main__":
    main()
