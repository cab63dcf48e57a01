"""Render one video of a synthetic corpus, with its ground truth beside it.

    python -m demo.video --videos 12 --clips 20 --seed 1 --video-id video_0001 --output data/demo/video_0001.mp4

writes video_0001.mp4 (30 frames a second, H.264 and AAC) and video_0001.truth.npz:
per frame landmarks_2d [n, 68, 2], landmarks_3d [n, 68, 3], rotation [n, 3, 3], translation [n, 3], head_pose [n, 3],
gaze [n, 2, 3], eye_landmarks [n, 2, 28, 3], eye_landmarks_2d [n, 2, 28, 2], units [n, 52], blink [n], jaw [n]; once
camera (fx, fy, cx, cy) and unit_names; per clip clip_id, text, start, end, labels [clips, 4] (M, T, A, V), pitch,
pitch_range, rate, level. Units and axes as in `demo.head`.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from demo.animation import FRAME_RATE, Animation, animate
from demo.head import Frame, Head
from demo.plan import LEAD, ClipPlan, plan_corpus
from demo.speech import SAMPLE_RATE, Phoneme, speak
from pipeline.base.io import replacing
from pipeline.sources.media import ffmpeg_path

WIDTH, HEIGHT = 320, 240
_ENDING = 0.3  # seconds after the last clip
_BACKGROUND_NOISE = 1e-3  # standard deviation, of full scale


def select_video(plans: list[ClipPlan], video_id: str) -> list[ClipPlan]:
    """The clips of one video.

    Raises
    ------
    ValueError
        If the plan has no such video.
    """
    clips = [plan for plan in plans if plan.video_id == video_id]
    if not clips:
        raise ValueError(f"{video_id}: not in the planned corpus, which ends with {plans[-1].video_id}")
    return clips


def frame_count(clips: list[ClipPlan]) -> int:
    """Frames of the video of these clips."""
    return round((clips[-1].end + _ENDING) * FRAME_RATE)


def mix_sound(clips: list[ClipPlan], speech: list[tuple[np.ndarray, list[Phoneme]]]) -> np.ndarray:
    """The sound track [samples], float32: the sentences in their places over a faint background noise."""
    length = frame_count(clips) * SAMPLE_RATE // FRAME_RATE
    random = np.random.default_rng([clips[0].speaker.seed, 6])
    sound = _BACKGROUND_NOISE * random.standard_normal(length, dtype=np.float32)
    for clip, (samples, _) in zip(clips, speech, strict=True):
        start = round((clip.start + LEAD) * SAMPLE_RATE)
        sound[start : start + len(samples)] += samples
    return np.clip(sound, -1, 1)


def speaker_head(clips: list[ClipPlan]) -> Head:
    """The head of the speaker of these clips."""
    speaker = clips[0].speaker
    return Head(speaker.seed, width=WIDTH, height=HEIGHT, sex=speaker.sex, age=speaker.age)


def render_frames(head: Head, animation: Animation) -> Iterator[Frame]:
    """Draw the frames of a video one after the other."""
    for index, amplitudes in enumerate(animation.units):
        units = {name: float(value) for name, value in zip(head.units, amplitudes, strict=True) if value > 0}
        yield head.frame(
            units,
            pose=tuple(animation.pose[index]),
            gaze=tuple(animation.gaze[index]),
            offset=tuple(animation.offset[index]),
            index=index,
        )


def render_video(clips: list[ClipPlan], output: str | Path) -> None:
    """Render the video of these clips to `output` and its truth beside it.

    Raises
    ------
    RuntimeError
        If ffmpeg fails.
    """
    output = Path(output)
    speech = [speak(clip.text, clip.prosody) for clip in clips]
    animation = animate(clips, speech, frame_count(clips))
    head = speaker_head(clips)
    truth: dict[str, list] = {name: [] for name in _TRUTH}
    progress = tqdm(total=len(animation.units), desc=output.stem, unit="frame", mininterval=5)
    with (
        replacing(output) as video_path,
        replacing(output.with_suffix(".truth.npz")) as truth_path,
        tempfile.TemporaryDirectory() as folder,
        progress,
    ):
        sound_path = Path(folder) / "sound.wav"
        _write_sound(mix_sound(clips, speech), sound_path)
        encoder = subprocess.Popen(_encoder_command(sound_path, video_path), stdin=subprocess.PIPE)
        try:
            for frame in render_frames(head, animation):
                encoder.stdin.write(frame.image.tobytes())
                for name, values in truth.items():
                    values.append(getattr(frame, name))
                progress.update()
        except BrokenPipeError:
            pass  # ffmpeg has stopped; its exit status tells
        finally:
            encoder.stdin.close()
            status = encoder.wait()
        if status != 0:
            raise OSError(f"{output}: ffmpeg stopped with status {status} (see its message above); run again")
        _write_truth(truth, head, clips, truth_path)


_TRUTH = (
    *("landmarks_2d", "landmarks_3d", "rotation", "translation", "head_pose"),
    *("gaze", "eye_landmarks", "eye_landmarks_2d", "units"),
)


def _write_truth(truth: dict[str, list], head: Head, clips: list[ClipPlan], path: Path) -> None:
    frames = {name: np.array(values, dtype=np.float32) for name, values in truth.items()}
    names = head.units
    eyes = [names.index("eyeBlinkLeft"), names.index("eyeBlinkRight")]
    np.savez(
        path,
        **frames,
        blink=frames["units"][:, eyes].mean(axis=1),
        jaw=frames["units"][:, names.index("jawOpen")],
        unit_names=np.array(names),
        camera=np.array(head.camera),
        clip_id=np.array([clip.clip_id for clip in clips]),
        text=np.array([clip.text for clip in clips]),
        start=np.array([clip.start for clip in clips]),
        end=np.array([clip.end for clip in clips]),
        labels=np.array([clip.labels for clip in clips]),
        pitch=np.array([clip.prosody.pitch for clip in clips]),
        pitch_range=np.array([clip.prosody.pitch_range for clip in clips]),
        rate=np.array([clip.prosody.rate for clip in clips]),
        level=np.array([clip.prosody.level for clip in clips]),
    )


def _write_sound(sound: np.ndarray, path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.round(sound * 32767).astype("<i2").tobytes())


def _encoder_command(sound: Path, output: Path) -> list[str]:
    picture = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FRAME_RATE), "-i", "pipe:0"]
    video = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "21", "-pix_fmt", "yuv420p", "-threads", "1"]
    audio = ["-c:a", "aac", "-b:a", "96k"]
    exact = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"]
    return [
        *(ffmpeg_path(), "-y", "-nostdin", "-loglevel", "error"),
        *picture,
        *("-i", str(sound)),
        *video,
        *audio,
        *exact,
        str(output),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Render one video of a synthetic corpus with its ground truth.")
    parser.add_argument("--videos", type=int, required=True)
    parser.add_argument("--clips", type=int, required=True, help="clips per video")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--video-id", required=True)
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    plans = plan_corpus(arguments.videos, arguments.clips, arguments.seed)
    render_video(select_video(plans, arguments.video_id), arguments.output)


if __name__ == "__main__":
    main()
