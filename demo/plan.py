"""Everything about a synthetic corpus that is decided before a frame is drawn, and its manifest.

    python -m demo.plan --videos 12 --clips 20 --seed 1 --folder data/demo --output data_manifest.csv

Each video has one speaker. Each label acts through several cues, every cue with noise of its own: T through the words, A
through pitch, range, rate and loudness relative to the speaker, V through mouth, cheeks, brows and nose.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from demo.labels import LABELS, draw_labels, draw_modes
from demo.sentences import compose_sentence
from demo.speech import SAMPLE_RATE, Prosody, speak
from pipeline.base.io import replacing

# Clips start and end on tenths of a second: whole frames at 30 Hz and whole samples at 22,050 Hz.
GRID = 0.1
LEAD, TAIL = 0.1, 0.15  # silence inside a clip before and after the sentence, seconds

MANIFEST_COLUMNS = "video_id clip_id path start end text label label_T label_A label_V mode".split()

# Variants in whose speech a pitch tracker finds its way (rough and whispering ones are left out).
VOICES = {"female": ("f1", "f2", "f4", "f5", "steph", "linda"), "male": ("adam", "m2", "Alex", "edward", "m6", "Diogo")}
BASE_PITCH = {"female": (44, 56), "male": (65, 75)}  # espeak-ng units: about 155 to 210 Hz and 105 to 130 Hz

TEXT_NOISE = 0.2  # standard deviations, in units of the label
AUDIO_NOISE = {"pitch": 0.6, "pitch_range": 0.7, "rate": 0.65, "level": 0.9}
VISION_NOISE = 0.45

# Face units of a good and of a bad mood, by the part of the face that shows it, with their share of the full amplitude.
EXPRESSIONS = {
    "mouth": ({"mouthSmile": 0.85}, {"mouthFrown": 0.9, "mouthShrugLower": 0.3}),
    "cheeks": ({"cheekSquint": 0.8, "mouthDimple": 0.4}, {"eyeSquint": 0.7, "mouthPress": 0.4}),
    "brows": ({"browInnerUp": 0.5, "browOuterUp": 0.6}, {"browDown": 0.9}),
    "nose": ({"eyeWide": 0.3, "mouthUpperUp": 0.25}, {"noseSneer": 0.7}),
}
# What some speakers' faces show in the whole video, whatever they say: who measures expressions from the median of a video
# takes it for rest.  By the remainder of the video's number: one in four smiles, one frowns, one narrows the eyes.
BEARINGS = (
    {"mouthSmile": 0.4, "cheekSquint": 0.35},
    {},
    {"browDown": 0.4},
    {"eyeSquint": 0.35},
)
AGES = (20.0, 72.0)  # years
_CENTRAL_UNITS = {"browInnerUp", "mouthShrugLower"}


@dataclass(frozen=True)
class Speaker:
    """Who talks in a video: seed, sex and age of the head, the voice, and what is normal for it (see `Prosody`).

    `bearing` maps face units, without a side, to the amplitude that the face shows throughout.
    """

    seed: int
    sex: str
    age: float
    voice: str
    pitch: float
    rate: float
    level: float
    bearing: dict[str, float]


@dataclass(frozen=True)
class ClipPlan:
    """One clip: start and end in seconds, labels M, T, A, V, and the cues that carry them.

    `expression` maps face units to their amplitude at the height of the expression; `onset` and `offset` are the shares
    of the clip before it starts and after it is over.
    """

    video_id: str
    clip_id: str
    speaker: Speaker
    start: float
    end: float
    text: str
    labels: tuple[float, float, float, float]
    mode: str
    prosody: Prosody
    expression: dict[str, float]
    onset: float
    offset: float


def plan_corpus(videos: int, clips_per_video: int, seed: int) -> list[ClipPlan]:
    """Plan a corpus of `videos` times `clips_per_video` clips, in the order of the videos.

    The sentences are spoken once here, for their exact durations.
    """
    count = videos * clips_per_video
    labels = draw_labels(count, seed)
    order = np.random.default_rng([seed, 3]).permutation(count)
    labels = labels[order]
    modes = draw_modes(labels[:, 0], seed)
    # Evenly spread, so that also a handful of speakers has young and old.
    ages = np.random.default_rng([seed, 5]).permutation(np.linspace(*AGES, videos))
    plans: list[ClipPlan] = []
    used: set[str] = set()
    for video in range(videos):
        rng = np.random.default_rng([seed, 4, video])
        speaker = _draw_speaker(seed, video, float(ages[video]), rng)
        end = 0.0
        for clip in range(clips_per_video):
            row = video * clips_per_video + clip
            label_t, label_a, label_v = labels[row, 1:]
            sentiment = float(np.clip(label_t + TEXT_NOISE * rng.standard_normal(), -1, 1))
            text = compose_sentence(sentiment, modes[row] == "train", rng, used)
            prosody = _draw_prosody(speaker, label_a, rng)
            samples, _ = speak(text, prosody)
            start = _on_grid(end + rng.uniform(0.15, 0.35))
            end = _on_grid(start + LEAD + len(samples) / SAMPLE_RATE + TAIL)
            plans.append(
                ClipPlan(
                    video_id=f"video_{video + 1:04d}",
                    clip_id=f"{clip + 1:04d}",
                    speaker=speaker,
                    start=start,
                    end=end,
                    text=text,
                    labels=tuple(float(value) for value in labels[row]),
                    mode=str(modes[row]),
                    prosody=prosody,
                    expression=_draw_expression(label_v, rng),
                    onset=float(rng.uniform(0.0, 0.2)),
                    offset=float(rng.uniform(0.0, 0.2)),
                )
            )
    return plans


def _on_grid(seconds: float) -> float:
    """The next tenth of a second."""
    return float(np.round(np.ceil(np.round(seconds / GRID, 6)) * GRID, 1))


def _draw_speaker(seed: int, video: int, age: float, rng: np.random.Generator) -> Speaker:
    sex = ("female", "male")[(seed + video) % 2]
    return Speaker(
        seed=1000 * seed + video,
        sex=sex,
        age=age,
        voice=f"cmn+{VOICES[sex][video // 2 % len(VOICES[sex])]}",
        pitch=float(rng.uniform(*BASE_PITCH[sex])),
        rate=float(rng.uniform(250, 275)),
        level=float(rng.uniform(-27, -25)),
        bearing=BEARINGS[video % len(BEARINGS)],
    )


def _draw_prosody(speaker: Speaker, label_a: float, rng: np.random.Generator) -> Prosody:
    """Pitch, range, rate and loudness: each follows A with noise of its own."""
    noise = np.array(list(AUDIO_NOISE.values())) * rng.standard_normal(len(AUDIO_NOISE))
    pitch, pitch_range, rate, level = np.clip(label_a + noise, -1.6, 1.6)
    return Prosody(
        voice=speaker.voice,
        pitch=round(speaker.pitch + 14 * pitch),
        pitch_range=round(50 + 28 * pitch_range),
        rate=round(speaker.rate * 1.18**rate),
        level=round(speaker.level + 4 * level, 2),
    )


def _draw_expression(label_v: float, rng: np.random.Generator) -> dict[str, float]:
    """Amplitudes of the face units: each part of the face takes part or not, and follows V with noise of its own."""
    amplitudes: dict[str, float] = {}
    for good, bad in EXPRESSIONS.values():
        share = 0.0 if rng.random() < 0.15 else rng.uniform(0.6, 1.0)
        mood = float(np.clip(share * (label_v + VISION_NOISE * rng.standard_normal()), -1, 1))
        for unit, full in (good if mood > 0 else bad).items():
            sides = [unit] if unit in _CENTRAL_UNITS else [unit + "Left", unit + "Right"]
            for name in sides:
                amplitudes[name] = round(full * abs(mood) * rng.uniform(0.85, 1.0), 4)
    return amplitudes


def write_manifest(plans: list[ClipPlan], folder: str, path: str | Path) -> None:
    """Write the manifest of a planned corpus whose videos lie in `folder`."""
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(MANIFEST_COLUMNS)
        for plan in plans:
            writer.writerow(
                [plan.video_id, plan.clip_id, f"{folder}/{plan.video_id}.mp4", plan.start, plan.end, plan.text]
                + [plan.labels[LABELS.index(label)] for label in LABELS]
                + [plan.mode]
            )


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the manifest of a synthetic corpus.")
    parser.add_argument("--videos", type=int, required=True)
    parser.add_argument("--clips", type=int, required=True, help="clips per video")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--folder", required=True, help="folder of the videos, as the manifest names it")
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    write_manifest(plan_corpus(arguments.videos, arguments.clips, arguments.seed), arguments.folder, arguments.output)


if __name__ == "__main__":
    main()
