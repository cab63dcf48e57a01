"""A film that tells its own time, written into the containers and codecs of the field, cut, and read again.

    python -m tests.containers.film        # all combinations, as a table

The left half of the picture brightens within each second, the right half counts the seconds; a beep sounds on each second, and
its pitch counts them too. So each cut frame and each beep says from which moment of the film it is.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pipeline.clips import cut_video
from pipeline.sources.clip_table import Clip, read_wav
from pipeline.sources.manifest_table import COLUMNS
from pipeline.sources.media import ffmpeg_path, ffprobe_path
from tests.sound import write_wav

SECONDS, SIZE, SOUND_RATE = 6.0, (64, 48), 44100
CUTS = ((0.0, 1.5), (2.3, 3.7), (4.1, 5.5))
FRAME, LARGEST_SOUND_ERROR = 1 / 30, 0.02
LEAD_IN = 0.1  # s, at most, of a codec of sound; such a film begins with its picture

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "8")
AAC, MP2, PCM = ("-c:a", "aac"), ("-c:a", "mp2"), ("-c:a", "pcm_s16le")
VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-crf", "8", "-b:v", "2M")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "10", "-b:v", "0")
# suffix (of a file; 'pipe.' in front: written to a pipe) -> codecs
CONTAINERS = {
    "mp4": (*H264, *AAC), "mov": (*H264, *PCM), "mkv": (*H264, *PCM), "webm": (*VP9, "-c:a", "libopus"),
    "ts": (*H264, *AAC), "m2ts": (*H264, "-c:a", "ac3"), "flv": (*H264, *AAC),
    "avi": ("-c:v", "mpeg4", "-q:v", "2", *PCM), "h264.avi": (*H264, *AAC), "mpg": ("-c:v", "mpeg2video", "-q:v", "2", *MP2),
    "vob": ("-c:v", "mpeg2video", "-q:v", "2", *MP2), "wmv": ("-c:v", "wmv2", "-q:v", "2", "-c:a", "wmav2"),
    "3gp": (*H264, *AAC), "ogv": (*VP8, "-c:a", "libopus"), "gif": (), "pipe.mkv": (*H264, *PCM), "h264": (*H264, "-an"),
}  # fmt: skip


@dataclass(frozen=True)
class Film:
    """How the film is written. `begins` and `ends`: s of the film's clock that picture and sound cover."""

    container: str = "mp4"
    rate: float = 30
    group: int = 60
    b_frames: int = 2
    offset: float = 0.0
    picture: tuple[float, float] = (0.0, SECONDS)
    sound: tuple[float, float] = (0.0, SECONDS)
    silence: tuple[float, float] = (0.0, 0.0)
    channels: int = 1
    uneven: bool = False
    open_group: bool = False

    @property
    def name(self) -> str:
        """What differs from the plain film."""
        plain = Film(self.container)
        return " ".join(f"{key}={value}" for key, value in vars(self).items() if value != getattr(plain, key)) or "plain"


def pictures(film: Film) -> np.ndarray:
    """uint8 [frames, height, width]."""
    first, last = film.picture
    times = first + np.arange(round((last - first) * film.rate)) / film.rate
    frames = np.zeros((len(times), SIZE[1], SIZE[0]), np.uint8)
    frames[:, :, : SIZE[0] // 2] = (40 + 160 * (times % 1))[:, None, None]
    frames[:, :, SIZE[0] // 2 :] = (40 + 30 * np.floor(times + 1e-9))[:, None, None]
    return frames


def beeps(film: Film) -> np.ndarray:
    """float32 [samples]: 60 ms of a tone at each full second."""
    first, last = film.sound
    time = first + np.arange(round((last - first) * SOUND_RATE)) / SOUND_RATE
    second = np.floor(time)
    wave = 0.5 * np.sin(2 * np.pi * (600 + 200 * second) * time) * (time - second < 0.06)
    wave[(time >= film.silence[0]) & (time < film.silence[1])] = 0
    return wave.astype(np.float32)


def write_film(film: Film, folder: Path) -> Path | None:
    """Write the film; None if this ffmpeg cannot."""
    sound, path = folder / "sound.wav", folder / f"film.{film.container.split('.')[-1]}"
    write_wav(sound, beeps(film), SOUND_RATE)
    command = [ffmpeg_path(), "-y", "-loglevel", "error", "-itsoffset", str(film.picture[0])]
    command += ["-f", "rawvideo", "-pix_fmt", "gray", "-s", "{}x{}".format(*SIZE), "-framerate", str(film.rate), "-i", "-"]
    command += ["-itsoffset", str(film.sound[0]), "-i", str(sound), "-map", "0:v"]
    if film.container not in ("gif", "h264"):
        command += ["-map", "1:a", "-ac", str(film.channels)]
    if film.uneven:
        command += ["-vf", "select='lt(mod(t,2),1)+not(mod(n,3))'"]
    if film.uneven or film.picture[0]:
        command += ["-fps_mode", "vfr"]  # else some containers get copies of a picture where there is none
    command += CONTAINERS[film.container]
    if "libx264" in command:
        command += ["-bf", str(film.b_frames), "-x264-params", f"open-gop={int(film.open_group)}:scenecut=0"]
    if film.container != "gif":
        command += ["-g", str(film.group), "-pix_fmt", "yuv420p"]
    if film.offset:
        command += ["-output_ts_offset", str(film.offset), "-avoid_negative_ts", "disabled"]
    to_pipe = film.container.startswith("pipe.")
    command += ["-f", "matroska", "pipe:1"] if to_pipe else [str(path)]
    done = subprocess.run(command, input=pictures(film).tobytes(), capture_output=True)
    if to_pipe:
        path.write_bytes(done.stdout)
    return path if done.returncode == 0 and path.stat().st_size else None


def film_start(film: Film, path: Path) -> float:
    """Moment of the film (s) that is second 0 of the file, found without the code that is tested.

    ffmpeg shows the first picture, which tells its moment, and ffprobe how long after the beginning of the file it is shown:
    codecs that begin with a lead-in move the one, an edit list that leaves out a beginning the other.
    """
    if film.container.endswith("avi"):
        return 0.0  # all is counted from there
    probe = [ffprobe_path(), "-v", "error", "-of", "json", str(path)]
    streams = json.loads(subprocess.run([*probe, "-show_streams"], capture_output=True, check=True).stdout)["streams"]
    begins = {stream["codec_type"]: float(stream.get("start_time", 0)) for stream in streams}
    begins = begins["video"] if 0 < begins["video"] - min(begins.values()) <= LEAD_IN else min(begins.values())
    first = ["-select_streams", "v", "-read_intervals", "%+#60", "-show_frames"]
    frames = json.loads(subprocess.run([*probe, *first], capture_output=True, check=True).stdout)["frames"]
    shown = float(frames[0].get("best_effort_timestamp_time", begins))
    command = [ffmpeg_path(), "-v", "error", "-i", str(path), "-frames:v", "1", "-pix_fmt", "gray", "-f", "rawvideo", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    frame = np.frombuffer(raw, np.uint8).reshape(SIZE[1], SIZE[0])
    moment = round(float(moment_of(frame)) * film.rate) / film.rate
    return moment - (shown - begins)


def moment_of(frame: np.ndarray) -> float:
    """Moment of the film (s) of a grey picture; NaN where it is black."""
    ramp, count = frame[8:-8, 8 : SIZE[0] // 2 - 8].mean(), frame[8:-8, SIZE[0] // 2 + 8 : -8].mean()
    return round((count - 40) / 30) + (ramp - 40) / 160 if count > 25 else np.nan


def read_picture(path: Path) -> np.ndarray:
    """Moment of the film of each frame, s; NaN where it is black."""
    capture, moments = cv2.VideoCapture(str(path)), []
    while True:
        more, frame = capture.read()
        if not more:
            return np.array(moments)
        moments.append(moment_of(cv2.resize(frame[:, :, 0], SIZE)))


def read_beeps(path: Path) -> list[tuple[float, int]]:
    """Onset (s of the clip) and second of the film of each beep that begins within the clip."""
    samples = read_wav(path)
    window = 110
    loud = np.sqrt(np.convolve(samples**2, np.ones(window) / window, "same")) > 0.12
    found = []
    for onset in np.flatnonzero(loud[1:] & ~loud[:-1]) + 1:
        piece = samples[onset : onset + 880]
        if len(piece) == 880 and not loud[max(0, onset - 400) : onset].any():
            spectrum = np.abs(np.fft.rfft(piece * np.hanning(880), 8192))
            found.append((onset / 22050, round((spectrum.argmax() * 22050 / 8192 - 600) / 200)))
    return found


@dataclass
class Verdict:
    """Largest errors (s) of a cut, and what is wrong with it in words; `flags` of the clip."""

    picture: float
    sound: float
    wrong: str
    flags: list[str]


def judge(film: Film, start: float, cut: tuple[float, float], clip: Clip, folder: Path) -> Verdict:
    """Hold a cut against the film. What the film does not cover has to be black or silent, or the clip flagged."""
    first, last = start + cut[0], start + cut[1]
    wrong, picture_error, sound_error = [], 0.0, 0.0
    if clip.video:
        moments = read_picture(folder / clip.video)
        expected = round((cut[1] - cut[0]) * 30)
        if abs(len(moments) - expected) > 1 and not {"end_beyond_video"} & set(clip.flags):
            wrong.append(f"{len(moments)} of {expected} frames")
        times = first + np.arange(len(moments)) / 30
        covered = (times >= film.picture[0] + FRAME) & (times < film.picture[1] - FRAME)
        if np.isnan(moments[covered]).any():
            wrong.append("black where the film has a picture")
        before = times < film.picture[0] - FRAME
        if before.any() and not np.isnan(moments[before]).all():
            wrong.append("a later picture before the first")
        # A picture stands until the next: in a film of few pictures it may be that much older.
        step = (3 if film.uneven else 1) / film.rate
        error = times[covered] - moments[covered]
        picture_error = max([0.0, *(-error).tolist(), *(error - step).tolist()])
        if picture_error > FRAME + 0.01:
            wrong.append(f"picture {picture_error:.3f} s off")
    elif not clip.flags:
        wrong.append("no picture, no flag")
    if clip.audio:
        length = len(read_wav(folder / clip.audio)) / 22050
        if abs(length - (cut[1] - cut[0])) > LARGEST_SOUND_ERROR and "end_beyond_video" not in clip.flags:
            wrong.append(f"sound of {length:.3f} s")
        heard = {second: first + onset for onset, second in read_beeps(folder / clip.audio)}
        covered = [s for s in range(int(SECONDS)) if first + 0.05 < s < last - 0.1 and film.sound[0] <= s < film.sound[1] - 0.1
                   and not film.silence[0] <= s < film.silence[1]]  # fmt: skip
        for second in covered:
            if second not in heard:
                wrong.append(f"no beep of second {second}")
            else:
                sound_error = max(sound_error, abs(heard[second] - second))
        wrong += [f"beep of second {s} from elsewhere" for s in heard if s not in covered and not first - 0.1 < s < last + 0.1]
        if sound_error > LARGEST_SOUND_ERROR:
            wrong.append(f"sound {sound_error:.3f} s off")
    elif film.container not in ("gif", "h264") and not clip.flags:
        wrong.append("no sound, no flag")
    return Verdict(picture_error, sound_error, ", ".join(wrong), clip.flags)


def try_film(film: Film, cuts: Sequence[tuple[float, float]] = CUTS) -> list[Verdict] | None:
    """Write a film, cut it and judge the cuts; None if the film cannot be written."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = write_film(film, folder)
        if path is None:
            return None
        table = [{"video_id": "v", "clip_id": f"{i}", "path": str(path), "start": a, "end": b} for i, (a, b) in enumerate(cuts)]
        rows = pd.DataFrame(table, columns=COLUMNS).astype({"start": float, "end": float})
        clips, start = cut_video(rows, folder), film_start(film, path)
        return [judge(film, start, cut, clip, folder) for cut, clip in zip(cuts, clips, strict=True)]


def variants(container: str) -> list[Film]:
    """All films of a container."""
    plain = Film(container)
    films = [plain, *(replace(plain, rate=rate) for rate in (2, 12, 15, 24, 25, 29.97, 50, 60, 120))]
    films += [replace(plain, group=group) for group in (1, 300)] + [replace(plain, b_frames=0), replace(plain, open_group=True)]
    films += [replace(plain, offset=offset) for offset in (-1, 5, 100)]
    films += [replace(plain, picture=(1.2, SECONDS)), replace(plain, picture=(0, 3.0)), replace(plain, uneven=True)]
    if container not in ("gif", "h264"):
        films += [replace(plain, sound=part) for part in ((1.2, SECONDS), (0, 3.0))]
        films += [replace(plain, silence=(1.5, 3.5)), *(replace(plain, channels=count) for count in (2, 6, 8))]
    return [film for film in films if can_tell(film)]


def can_tell(film: Film) -> bool:
    """Whether a container can say when the pictures of a film are shown."""
    if film.container in ("mpg", "vob", "h264") and film.uneven:
        return False  # MPEG-2 has one rate, a raw stream no times
    if film.container == "h264" and film.picture[0] or film.container.endswith("avi") and film.picture[0] + film.sound[0]:
        return False  # pictures and samples are counted from 0
    if film.container == "ogv" and (film.uneven or film.picture[0]):
        return False  # it holds the time of a page of pictures alone
    if film.container in ("avi", "h264.avi", "h264") and film.offset:
        return False
    return not (film.container == "gif" and film.rate > 100)  # its unit is 1/100 s


def main() -> None:
    wrong = refused = unwritten = right = 0
    for container in sys.argv[1:] or CONTAINERS:
        for film in variants(container):
            verdicts = try_film(film)
            if verdicts is None:
                unwritten += 1
                continue
            for cut, verdict in zip(CUTS, verdicts, strict=True):
                silent = verdict.wrong and not verdict.flags
                wrong, refused = wrong + bool(silent), refused + bool(verdict.wrong and verdict.flags)
                right += not verdict.wrong
                print(f"{container:9} {film.name:32} {cut[0]:.1f}-{cut[1]:.1f}  picture {verdict.picture * 1000:4.0f} ms  "
                      f"sound {verdict.sound * 1000:4.0f} ms  {'WRONG: ' if silent else ''}{verdict.wrong} "
                      f"{';'.join(verdict.flags)}", flush=True)  # fmt: skip
    print(f"{right} cuts right, {refused} flagged, {wrong} silently wrong; {unwritten} films that this ffmpeg cannot write")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
