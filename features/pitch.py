"""Fundamental frequency (F0) of a voice, frame by frame.

Sound has 22,050 Hz, frames are 512 samples apart, frame i is centred on sample 512 i as librosa's frames are. A tracker
takes mono samples [n] and the range of F0 in Hz, and gives F0 in Hz [1 + n // 512], 0 where nobody would hear a pitch.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import librosa
import numpy as np
import swift_f0 as network

from features.hashing import sha256_of

SAMPLE_RATE = 22050
HOP_LENGTH = 512
# Below this root mean square (full scale is 1; -66 dB) a clip has no sound worth the name.
SILENCE = 5e-4

WEIGHTS = Path(network.__file__).with_name("model.onnx")
NETWORK_RATE = 16000  # Hz, what the network was trained with
NETWORK_HOP = 256  # samples of those
VOICED = 0.5  # the network's confidence from which on a frame is voiced, as it is calibrated
# Root mean square to which a clip is brought: the network hears a quiet voice as unvoiced more often than a loud one.
LEVEL = 0.1
JUMP = 0.1  # ln; neighbours whose pitches differ by more are two pitches, with nothing between them

# Chosen on real voices. librosa's default window of 93 ms takes the pauses between words for voiced, and its default for
# frames without a trough gives noise an F0.
PYIN = {"frame_length": 1024, "beta_parameters": (2, 12), "no_trough_prob": 0.001, "switch_prob": 0.05}


@cache
def load_network() -> network.SwiftF0:
    """The network in one thread, so that no byte depends on the number of cores."""
    return network.SwiftF0(threads=1, spin=False)


def swift_f0(samples: np.ndarray, f0_min: float, f0_max: float) -> np.ndarray:
    """F0 by the convolutional network SwiftF0 (Nieradzik 2025) on a spectrogram, 16 kHz, a frame every 16 ms.

    A frame of ours lies between two of the network's. Its confidence is interpolated, its log F0 is the mean of theirs
    weighted by distance and confidence, or the weightier one where they differ by a jump.
    """
    gain = LEVEL / max(np.sqrt(np.mean(np.square(samples, dtype=np.float64))), SILENCE)
    sound = librosa.resample(samples * np.float32(gain), orig_sr=SAMPLE_RATE, target_sr=NETWORK_RATE, res_type="soxr_hq")
    found = load_network().detect(sound, NETWORK_RATE, f0_min, f0_max)
    position = np.arange(1 + samples.size // HOP_LENGTH) * (HOP_LENGTH / SAMPLE_RATE * NETWORK_RATE / NETWORK_HOP)
    last = len(found.pitch_hz) - 1
    position = np.minimum(position, last)
    before = np.floor(position).astype(int)
    pair = np.stack([before, np.minimum(before + 1, last)])
    share = position - before
    weights = np.stack([1 - share, share]) * found.confidence[pair]
    confidence = weights.sum(0)
    log_f0 = np.log(found.pitch_hz)[pair]
    mean = (weights * log_f0).sum(0) / np.maximum(confidence, 1e-9)
    weightier = np.where(weights[0] >= weights[1], log_f0[0], log_f0[1])
    log_f0 = np.where(np.abs(log_f0[1] - log_f0[0]) < JUMP, mean, weightier)
    return np.where(confidence >= VOICED, np.exp(log_f0), 0.0)


def pyin(samples: np.ndarray, f0_min: float, f0_max: float) -> np.ndarray:
    """F0 by probabilistic YIN (Mauch & Dixon 2014), librosa's."""
    f0, voiced, _ = librosa.pyin(samples, fmin=f0_min, fmax=f0_max, sr=SAMPLE_RATE, hop_length=HOP_LENGTH, **PYIN)
    return np.where(voiced, f0, 0.0)


TRACKERS: dict[str, Callable[[np.ndarray, float, float], np.ndarray]] = {"swift_f0": swift_f0, "pyin": pyin}
# Hz: what the network was trained for; two periods in pyin's window, and half the sampling rate.
RANGES = {"swift_f0": (46.875, 2093.75), "pyin": (2 * SAMPLE_RATE / PYIN["frame_length"], SAMPLE_RATE / 2)}
PACKAGES = {None: (), "swift_f0": ("swift-f0", "onnxruntime", "soxr"), "pyin": ()}


def weights_of(tracker: str | None) -> dict[str, str]:
    """File of the weights of a tracker -> its sha256."""
    return {f"swift_f0/{WEIGHTS.name}": sha256_of(WEIGHTS)} if tracker == "swift_f0" else {}
