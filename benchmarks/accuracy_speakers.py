"""The measurements of one speaker of the calibration set, and of two in one picture; each runs in a process of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.accuracy_clips import COORDINATES, Clip, empty_clip, join, measure
from benchmarks.accuracy_dlib import SecondOpinion, second_opinion
from demo.calibration import DISTURBANCES, LARGEST, Shot, disturb, faceless, shots, shrink_face, side_by_side, take
from demo.head import Frame, Head
from features.vision import VisionModels, extract_vision

UNDISTURBED = ("none", 0.0)
DISTURBED_MIXTURES = 22  # mixtures under each disturbance, beside every face unit at full amplitude
FACE_FRAMES = 10  # with a face, before it leaves the picture
PAIR_FRAMES = 60
QUIET = 0.01  # loudness between the syllables, of 1
SMALLER = 0.7  # size of the second person beside the first


@dataclass(frozen=True)
class Speaker:
    """What was measured on one speaker.

    whole : Clip, the calibration set
    disturbed : Clip by (disturbance, strength); 'none' has the same frames as they are
    faceless : Clip, pictures without a face; `part` names the kind
    dlib : SecondOpinion, or None where dlib is not installed
    """

    whole: Clip
    disturbed: dict[tuple[str, float], Clip]
    faceless: Clip
    dlib: SecondOpinion | None


@dataclass(frozen=True)
class Pair:
    """Two people in the picture, the first one left: whose face was measured in each frame: 0, 1, or -1 for nobody's."""

    scene: str
    followed: np.ndarray


@contextlib.contextmanager
def single_threaded_models() -> Iterator[VisionModels]:
    """The networks, on one thread, for one process of several."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    models = VisionModels()
    with threadpool_limits(1):
        yield models


def measure_speaker(seed: int) -> Speaker:
    """Render one speaker and measure everything."""
    head, taken = Head(seed), shots(seed)
    frames = list(take(head, taken))
    clips = [([taken[i] for i in part], [frames[i] for i in part]) for part in in_clips(taken, frames)]
    with single_threaded_models() as models:
        whole = measure(models, head, clips)
        disturbed = measure_disturbed(models, head, clips)
        empty = measure_faceless(models, seed, [frame.image for frame in clips[-1][1]])
    return Speaker(whole, disturbed, empty, second_opinion(frames, whole_in_order(whole, clips, frames)))


def whole_in_order(whole: Clip, clips: list[tuple[list[Shot], list[Frame]]], frames: list[Frame]) -> Clip:
    """The frames of all clips in the order of `frames`."""
    places = {id(frame): i for i, frame in enumerate(frame for _, part in clips for frame in part)}
    return whole.where(np.array([places[id(frame)] for frame in frames]))


def in_clips(taken: list[Shot], frames: list[Frame]) -> list[np.ndarray]:
    """Numbers of the pictures of each clip, in the order in which they are shown.

    A clip is a part of the set or a sweep of the head.  The mixtures, drawn at random, would move a face through the
    picture as no video does: each is followed by the nearest one that is left.
    """
    part = np.array([shot.part for shot in taken])
    numbers = {name: np.flatnonzero(part == name) for name in ("units", "gaze", "pose", "mixture", "still")}
    places = np.array([frames[i].landmarks_2d for i in numbers["mixture"]])
    numbers["mixture"] = numbers["mixture"][path(places)]
    sweeps = np.array_split(numbers.pop("pose"), len(LARGEST))
    return [numbers.pop("units"), numbers.pop("gaze"), *sweeps, *numbers.values()]


def path(places: np.ndarray) -> np.ndarray:
    """Order [n] of n places [n, points, 2] in which each is followed by the nearest that is left, from the middle one on."""
    apart = np.linalg.norm(places[:, None] - places[None], axis=3).mean(2)
    order, left = [int(apart.sum(1).argmin())], set(range(len(places)))
    while left := left - {order[-1]}:
        order.append(min(left, key=lambda i: apart[order[-1], i]))
    return np.array(order)


def measure_disturbed(
    models: VisionModels, head: Head, clips: list[tuple[list[Shot], list[Frame]]]
) -> dict[tuple[str, float], Clip]:
    """Every face unit at full amplitude and some mixtures under each disturbance, a video of its own each time.

    No frame is left out for its confidence, so that the confidence itself can be judged.
    """
    peaks = [(shot, frame) for shot, frame in zip(*clips[0], strict=True) if max(shot.units.values()) == 1]
    mixtures = list(zip(*clips[-2], strict=True))[:DISTURBED_MIXTURES]
    chosen = [tuple(map(list, zip(*pairs, strict=True))) for pairs in (peaks, mixtures)]
    result = {UNDISTURBED: measure(models, head, chosen, minimum_confidence=0.0)}
    for name, (strengths, _) in DISTURBANCES.items():
        for strength in strengths:
            spoilt = [[disturb(frame, name, strength) for frame in frames] for _, frames in chosen]
            pictures = [[image for image, _ in clip] for clip in spoilt]
            result[name, strength] = measure(models, head, chosen, pictures, spoilt[0][0][1], minimum_confidence=0.0)
    return result


def measure_faceless(models: VisionModels, seed: int, faces: list[np.ndarray]) -> Clip:
    """What is found in pictures without a face: from the start, and after a face has left the picture."""
    kinds = faceless(seed)
    clips = [empty_clip(kind, seed, extract_vision(list(pictures), models)) for kind, pictures in kinds.items()]
    for kind, pictures in kinds.items():
        found = extract_vision([*faces[:FACE_FRAMES], *pictures], models)
        after = np.arange(FACE_FRAMES, len(found.success))
        clips.append(empty_clip(f"{kind} after a face", seed, found).where(after))
    return join(clips)


def measure_pair(seeds: tuple[int, int]) -> list[Pair]:
    """Two talking heads in one picture: of one size, one of them smaller, and the smaller one heard."""
    heads = [Head(seed) for seed in seeds]
    mouths = [talking(seed) for seed in seeds]
    frames = [
        list(take(head, [Shot("pair", {"jawOpen": float(amount)}) for amount in mouth]))
        for head, mouth in zip(heads, mouths, strict=True)
    ]
    sound = np.log(mouths[1] + QUIET)
    with single_threaded_models() as models:
        return [
            Pair(scene, followed(models, frames, scales, **options))
            for scene, scales, options in (
                ("both of one size", (1.0, 1.0), {}),
                ("the right one smaller", (1.0, SMALLER), {}),
                ("the left one smaller", (SMALLER, 1.0), {}),
                ("the right one smaller and heard, `faces: speaker`", (1.0, SMALLER), {"faces": "speaker", "loudness": sound}),
            )
        ]


def talking(seed: int) -> np.ndarray:
    """How far a mouth is open, 0-1, in each of `PAIR_FRAMES` frames: a few syllables a second, with pauses."""
    random = np.random.default_rng([seed, 10])
    return np.clip(np.convolve(random.normal(0, 1, PAIR_FRAMES + 4), np.hanning(7)[1:-1], "valid") / 2, 0, 1)


def followed(models: VisionModels, frames: list[list[Frame]], scales: tuple[float, float], **options) -> np.ndarray:
    """Whose face is measured in each frame [n] of two people at `scales` of their size: 0, 1, or -1 for nobody's."""
    width = frames[0][0].image.shape[1]
    quarter, pictures, points = width // 4, [], []
    for pair in zip(*frames, strict=True):
        shrunk = [shrink_face(frame.image, scale) for frame, scale in zip(pair, scales, strict=True)]
        pictures.append(side_by_side(shrunk[0][0], shrunk[1][0]))
        sides = zip(pair, shrunk, (-quarter, width - 3 * quarter), strict=True)
        points.append([f.landmarks_2d @ moved[:, :2].T + moved[:, 2] + [shift, 0] for f, (_, moved), shift in sides])
    found = extract_vision(pictures, models, coordinates=COORDINATES, **options)
    clip = empty_clip("pair", 0, found)
    apart = np.linalg.norm(clip.measured_landmarks[:, None] - np.array(points), axis=3).mean(2)
    return np.where(found.success, np.nan_to_num(apart).argmin(1), -1)
