"""How fast the facial features are extracted, how much memory that takes, and what bounds it.

    .venv/bin/python -m benchmarks.vision_speed

Renders two talking heads, 640 x 360 at 30 Hz, into a temporary folder and runs `pipeline.vision` on them from decoding to
HDF5: on one core, and on two as the workflow does (two videos at once).  The plain way, for comparison, is what a script
of few lines would do: facenet-pytorch's MTCNN with its default settings on every frame, then MediaPipe's face landmarker
on the aligned face, one frame at a time.  Everything runs in processes of its own that are bound to their cores; what is
printed is wall time, so run it on an idle machine (the processor time beside it hardly depends on other work).
"""

import argparse
import cProfile
import importlib.util
import multiprocessing
import os
import pstats
import resource
import subprocess
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from demo.animation import FRAME_RATE, animate
from demo.head import Head
from demo.plan import plan_corpus
from demo.speech import speak
from demo.video import frame_count, render_frames, select_video
from features.mesh import CROP_SIDE
from features.openface import block_slice
from features.vision import VisionModels, extract_vision
from pipeline.sources.media import ffmpeg_path
from pipeline.vision import VisionSettings, extract, read_frames

WIDTH, HEIGHT = 640, 360
SECONDS = 10  # of the rendered videos; longer ones repeat them
LONG, LONGEST = 60, 600  # seconds: to time, and to see that memory does not grow
ROUNDS, BLOCK = 2, 120  # of the comparison with the plain way; frames
FLOOR = 200  # frames
CH_SIMS = 8371  # seconds of the clips of CH-SIMS
SPEAKERS = ("video_0001", "video_0002")
# What the profile adds up: function (as the profiler names it) -> part.
PARTS = {
    "read_frames": "decoding, colours",
    "cut": "cutting the face out",
    "mesh_of": "mesh network",
    "blendshapes_of": "blendshape network",
    "detect": "MTCNN",
    "fit": "shape and pose",
    "gaze_of": "gaze",
    "measures_of": "action units, per frame",
    "action_unit_columns": "action units, per clip",
    "add_clip": "HDF5",
}


def render(video_id: str, path: Path) -> None:
    """Write a talking head of `SECONDS` seconds, coded as `pipeline.clips` does."""
    clips = select_video(plan_corpus(len(SPEAKERS), 20, 1), video_id)
    animation = animate(clips, [speak(clip.text, clip.prosody) for clip in clips], frame_count(clips))
    speaker = clips[0].speaker
    head = Head(speaker.seed, WIDTH, HEIGHT, sex=speaker.sex, age=speaker.age)
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FRAME_RATE), "-i", "pipe:0"]
    coding = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "12", "-pix_fmt", "yuv420p"]
    command = [ffmpeg_path(), "-y", "-nostdin", "-loglevel", "error", *raw, *coding, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        for _, frame in zip(range(SECONDS * FRAME_RATE), render_frames(head, animation), strict=False):
            encoder.stdin.write(frame.image.tobytes())


def clips_folder(source: Path, seconds: int) -> Path:
    """A folder as `pipeline.clips` makes it, with one clip: the video `source` as often as it takes."""
    folder = source.with_name(f"{source.stem}_{seconds}s")
    folder.mkdir()
    (folder / "list.txt").write_text(f"file '{source}'\n" * (seconds // SECONDS), encoding="utf-8")
    joined = ["-f", "concat", "-safe", "0", "-i", str(folder / "list.txt"), "-c", "copy", str(folder / "0001.mp4")]
    subprocess.run([ffmpeg_path(), "-nostdin", "-loglevel", "error", *joined], check=True)
    (folder / "clips.csv").write_text("clip_id,video,audio,flags,message\n0001,0001.mp4,,,\n", encoding="utf-8")
    return folder


def bind(cores: set[int]) -> None:
    """Keep this process on some cores, and each library on one thread per core."""
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(len(cores))
    cv2.setNumThreads(len(cores))
    threadpool_limits(len(cores))


def time_stage(folder: Path, core: int, start) -> dict[str, float]:
    """The whole stage on one core: frames a second by wall and processor time, and the peak of the memory, MiB."""
    bind({core})
    output, frames = folder / f"{core}.h5", sum(1 for _ in read_frames(folder / "0001.mp4"))
    extract_vision([next(read_frames(folder / "0001.mp4"))], VisionModels())  # loads and compiles
    if start:
        start.wait()
    wall, processor = time.perf_counter(), time.process_time()
    extract(folder, output, VisionSettings())
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"frames": frames, "wall": wall, "processor": processor, "peak": peak}


def time_plain(folder: Path, cores: set[int], count: int) -> float:
    """Frames a second of the plain way."""
    from benchmarks.plain_vision import PlainWay  # not above: its libraries would count in the memory of `time_stage`

    bind(cores)
    plain, frames = PlainWay(), read_frames(folder / "0001.mp4")
    plain.landmarks(next(frames))
    start = time.perf_counter()
    for _, frame in zip(range(count), frames, strict=False):
        plain.landmarks(frame)
    return count / (time.perf_counter() - start)


def compare(folder: Path, core: int) -> dict[str, float]:
    """Both ways on one core in turns, without decoding: how many times as fast ours is, and how far landmarks differ."""
    from benchmarks.plain_vision import PlainWay

    bind({core})
    models, plain, frames = VisionModels(), PlainWay(), read_frames(folder / "0001.mp4")
    plain.landmarks(next(frames)), extract_vision([next(frames)], models)
    times, apart = np.zeros((2, 2)), []
    for _ in range(ROUNDS):
        block = [frame for _, frame in zip(range(BLOCK), frames, strict=False)]
        points, found = [], []
        for way, run in enumerate(
            (
                lambda block=block, points=points: points.extend(plain.landmarks(frame) for frame in block),
                lambda block=block, found=found: found.append(extract_vision(block, models, coordinates="frame")),
            )
        ):
            before = np.array([time.perf_counter(), time.process_time()])
            run()
            times[way] += np.array([time.perf_counter(), time.process_time()]) - before
        ours = np.stack([found[0].values[:, block_slice(axis)] for axis in "xy"], 2)
        points = np.array(points)
        eyes = np.linalg.norm(points[:, 45] - points[:, 36], axis=1)
        apart.append(np.linalg.norm(ours - points, axis=2).mean(1) / eyes)
    wall, processor = times[0] / times[1]
    return {"wall": wall, "processor": processor, "apart": 100 * float(np.nanmean(apart))}


def profile(folder: Path, core: int) -> tuple[dict[str, float], float]:
    """Share of each part in the processor time, percent, and the frames a second of the mesh network alone."""
    bind({core})
    models, frames = VisionModels(), list(read_frames(folder / "0001.mp4"))
    extract_vision(frames[:2], models)
    profiler = cProfile.Profile(time.process_time)
    profiler.runcall(extract, folder, folder / "profile.h5", VisionSettings())
    stats = pstats.Stats(profiler)
    spent = {name: 0.0 for name in PARTS}
    for (_, _, name), (*_, cumulative, _) in stats.stats.items():
        if name in PARTS:
            spent[name] += cumulative
    shares = {PARTS[name]: 100 * seconds / stats.total_tt for name, seconds in spent.items()}
    shares["the rest"] = 100 - sum(shares.values())
    start = time.process_time()
    for _ in range(FLOOR):
        models.mesh.mesh_of(np.zeros((CROP_SIDE, CROP_SIDE, 3), np.uint8))
    return shares, FLOOR / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, nargs=2, default=[0, 1], help="the two to run on")
    first, second = parser.parse_args().cores
    if importlib.util.find_spec("mediapipe") is None:
        parser.exit(1, "the plain way needs mediapipe: pip install --no-deps --requirement requirements-benchmarks.txt\n")
    context = multiprocessing.get_context("spawn")

    def alone(function, *arguments):
        """The result of a function in a fresh process."""
        with context.Pool(1) as pool:
            return pool.apply(function, arguments)

    with tempfile.TemporaryDirectory() as temporary:
        sources = [Path(temporary) / f"{video_id}.mp4" for video_id in SPEAKERS]
        for video_id, source in zip(SPEAKERS, sources, strict=True):
            render(video_id, source)
        timed = [clips_folder(source, LONG) for source in sources]
        one = alone(time_stage, timed[0], first, None)
        with context.Manager() as manager, context.Pool(2) as pool:
            start = manager.Barrier(2)
            jobs = [pool.apply_async(time_stage, (timed[i], core, start)) for i, core in enumerate((first, second))]
            both = [job.get() for job in jobs]
        two = sum(job["frames"] for job in both) / max(job["wall"] for job in both)
        plain = alone(time_plain, timed[0], {first, second}, ROUNDS * BLOCK)
        ratio = alone(compare, timed[0], first)
        memory = [alone(time_stage, clips_folder(sources[0], seconds), first, None)["peak"] for seconds in (SECONDS, LONGEST)]
        shares, floor = alone(profile, clips_folder(sources[1], SECONDS), first)
    rate = one["frames"] / one["wall"]
    rows = [
        ("one core, frames/s", rate, 55, rate >= 55),
        ("the same by processor time, frames/s", one["frames"] / one["processor"], "", None),
        ("two cores, two videos at once, frames/s", two, 100, two >= 100),
        (f"peak memory, {SECONDS} s of video, MiB", memory[0], 1536, memory[0] <= 1536),
        (f"peak memory, {LONGEST} s of video, MiB", memory[1], 1536, memory[1] <= 1536),
        ("times as fast as the plain way, one core", ratio["wall"], 8, ratio["wall"] >= 8),
        ("the same by processor time", ratio["processor"], "", None),
        (f"times as fast as the plain way ({plain:.1f} frames/s), two cores", two / plain, 8, two / plain >= 8),
        ("landmarks differ from the plain way's, % of the eye corners' distance", ratio["apart"], 1, ratio["apart"] <= 1),
        ("the mesh network alone, one core, frames/s", floor, "", None),
        (f"all of CH-SIMS ({CH_SIMS} s) on two cores, minutes", CH_SIMS * FRAME_RATE / two / 60, "", None),
    ]
    print("| what | measured | bar | met |\n|---|---|---|---|")
    for what, measured, bar, met in rows:
        print(f"| {what} | {measured:.1f} | {bar} | {'' if met is None else 'yes' if met else 'no'} |")
    print("\n| part | share of the processor time |\n|---|---|")
    for part, share in shares.items():
        print(f"| {part} | {share:.0f} % |")


if __name__ == "__main__":
    main()
