"""Where somebody speaks: Silero VAD (Silero Team 2024, MIT), the ONNX network of the wheel `silero-vad`, and clips of it.

Sound has 16,000 Hz; the network says of every 512 samples (32 ms) how likely they are speech.
"""

import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime

SAMPLE_RATE = 16000  # Hz
WINDOW = 512  # samples
CONTEXT = 64  # samples before a window that the network hears again
STEP = WINDOW / SAMPLE_RATE  # s

BEGINS, ENDS = 0.5, 0.35  # probability from which speech begins, and below which it ends
SHORTEST_SPEECH = 0.1  # s; what is shorter is a click
PAUSE = 0.3  # s without speech that part two clips; inside a sentence pauses are shorter, between two mostly longer
PADDING = 0.15  # s before and after the speech of a clip
SHORTEST, LONGEST = 1.0, 15.0  # s of a clip
QUIET = 30.0  # dB below the usual level of speech at which a moment says as much for a cut as a probability of 0
JOINABLE = 1.0  # s; a clip that is too short is joined to one that is not farther


def weights_file() -> Path:
    """Path of the network.

    Raises
    ------
    FileNotFoundError
        If the wheel is not installed.
    """
    found = importlib.util.find_spec("silero_vad")
    if found is None:
        raise FileNotFoundError("silero-vad is not installed: pip install --no-deps --requirement requirements-add-videos.txt")
    return Path(found.submodule_search_locations[0]) / "data" / "silero_vad.onnx"


def speech_probability(portions: Iterable[np.ndarray]) -> np.ndarray:
    """How likely each window is speech.

    portions : np.ndarray [shape=(n,), float32]
        Mono sound in [-1, 1], one after the other; n is a multiple of 512 in all but the last.

    Returns
    -------
    np.ndarray [shape=(windows,), float32]
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    network = onnxruntime.InferenceSession(weights_file(), options, providers=["CPUExecutionProvider"])
    state, context = np.zeros((2, 1, 128), np.float32), np.zeros((1, CONTEXT), np.float32)
    found = []
    for window in _windows(portions):
        heard = np.concatenate([context, window[None]], axis=1)
        probability, state = network.run(None, {"input": heard, "state": state, "sr": np.array(SAMPLE_RATE, np.int64)})
        context = heard[:, -CONTEXT:]
        found.append(probability[0, 0])
    return np.array(found, np.float32)


def loudness(portions: Iterable[np.ndarray]) -> np.ndarray:
    """Root mean square of each window [shape=(windows,)]; `portions` as for `speech_probability`."""
    return np.array([np.sqrt(np.mean(np.square(window))) for window in _windows(portions)], np.float32)


def _windows(portions: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for samples in portions:
        padded = np.pad(samples.astype(np.float32), (0, -len(samples) % WINDOW))
        yield from padded.reshape(-1, WINDOW)


def speech_spans(probability: np.ndarray) -> list[tuple[float, float]]:
    """Spans of speech [start, end), s: begun at a probability of `BEGINS`, ended by one below `ENDS`; clicks are left out."""
    spans, start = [], None
    for number, value in enumerate(probability):
        if start is None and value >= BEGINS:
            start = number
        elif start is not None and value < ENDS:
            spans.append((start * STEP, number * STEP))
            start = None
    if start is not None:
        spans.append((start * STEP, len(probability) * STEP))
    return [(first, last) for first, last in spans if last - first >= SHORTEST_SPEECH]


def clips_of(
    probability: np.ndarray, duration: float, pause: float = PAUSE, level: np.ndarray | None = None
) -> list[tuple[float, float]]:
    """Cut a recording into clips of speech.

    Clips part at pauses; one of less than 1 s is joined to a near neighbour, else widened into the silence around it; one of
    more than 15 s is cut where speech is least likely and the sound most quiet. Around speech a little silence is kept.

    Parameters
    ----------
    probability : np.ndarray [shape=(windows,)]
        See `speech_probability`.
    duration : float
        Of the recording, s.
    pause : float
        Without speech, s, that parts two clips.
    level : np.ndarray [shape=(windows,)] or None
        See `loudness`. Of breaths between two words, which the network takes for speech, it knows more.

    Returns
    -------
    list of (float, float)
        Start and end of each clip, s, 1 to 15 s long (shorter only where the recording is); none overlap.
    """
    joined: list[tuple[float, float]] = []
    for start, end in speech_spans(probability):
        if joined and start - joined[-1][1] < pause:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    spoken = probability
    if level is not None and (probability >= BEGINS).any():
        usual = np.median(level[probability >= BEGINS])
        decibels = 20 * np.log10(np.maximum(level, 1e-9) / max(usual, 1e-9))
        spoken = probability + np.clip(1 + decibels / QUIET, 0, 1)
    smooth = np.convolve(spoken, np.ones(3) / 3, mode="same")
    parts = [part for span in joined for part in _split(smooth, *span)]
    return _widened(_without_short_ones(parts), duration)


def _split(spoken: np.ndarray, start: float, end: float) -> Iterator[tuple[float, float]]:
    """A span in parts that are not too long, cut where in their middle the least is spoken."""
    longest = LONGEST - 2 * PADDING
    while end - start > longest:
        first, last = start + longest / 3, min(start + longest, end - longest / 3)
        low, high = int(np.ceil(first / STEP)), int(last / STEP)
        place = (low + int(np.argmin(spoken[low:high])) + 0.5) * STEP
        yield start, place
        start = place
    yield start, end


def _without_short_ones(parts: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Join what is too short, with its padding, to the nearer of its neighbours, if that is near and does not get too long."""
    parts = list(parts)
    number = 0
    while number < len(parts):
        start, end = parts[number]
        if end - start + 2 * PADDING < SHORTEST:
            near = []
            for other in (number - 1, number + 1):
                if 0 <= other < len(parts):
                    first, last = parts[min(number, other)], parts[max(number, other)]
                    if last[0] - first[1] <= JOINABLE and last[1] - first[0] <= LONGEST - 2 * PADDING:
                        near.append((last[0] - first[1], min(number, other)))
            if near:
                place = min(near)[1]
                parts[place : place + 2] = [(parts[place][0], parts[place + 1][1])]
                number = max(0, place - 1)
                continue
        number += 1
    return parts


def _widened(parts: list[tuple[float, float]], duration: float) -> list[tuple[float, float]]:
    """Parts with silence around them, at most half of that to each neighbour, and as much as makes them long enough."""
    clips = []
    for number, (start, end) in enumerate(parts):
        lowest = (parts[number - 1][1] + start) / 2 if number else 0.0
        highest = (end + parts[number + 1][0]) / 2 if number + 1 < len(parts) else duration
        margin = max(PADDING, (SHORTEST - (end - start)) / 2)
        before, after = min(margin, start - lowest), min(margin, highest - end)
        lacking = max(0.0, SHORTEST - (end - start) - before - after)
        before = min(before + lacking, start - lowest) if after < margin else before
        after = min(after + lacking, highest - end) if before < margin else after
        clips.append((max(0.0, start - before), min(duration, end + after)))
    return clips
