"""Audio features: 33 columns per frame, 22,050 Hz sound, hop 512 samples (43.07 frames/s).

Columns: `log_f0` (natural logarithm of F0 in Hz, 0 where unvoiced, see `features/pitch.py`; or `zcr`, the zero-crossing
rate), `mfcc_0..19`, `chroma_cqt_0..11`. Yu et al. 2020 (CH-SIMS, section 3.3) name these three groups, computed with
librosa's defaults.
Their released files hold the zero-crossing rate in the place of log F0; `first="zcr"` reproduces that.
"""

import warnings
from dataclasses import dataclass

import librosa
import numpy as np

from features.pitch import HOP_LENGTH, RANGES, SAMPLE_RATE, TRACKERS

FRAME_RATE = SAMPLE_RATE / HOP_LENGTH


@dataclass(frozen=True)
class AudioSettings:
    """What to extract.

    Attributes
    ----------
    first : str
        'log_f0' or 'zcr', the content of column 0.
    f0 : str
        'swift_f0' (a network) or 'pyin' (librosa's), what finds F0.
    f0_min, f0_max : float
        Hz, the range in which F0 is searched.
    """

    first: str = "log_f0"
    f0: str = "swift_f0"
    f0_min: float = 65.0
    f0_max: float = 600.0

    def __post_init__(self) -> None:
        if self.first not in ("log_f0", "zcr"):
            raise ValueError(f"first: '{self.first}' is unknown; choose log_f0 or zcr")
        if self.f0 not in TRACKERS:
            raise ValueError(f"f0: '{self.f0}' is unknown; choose {' or '.join(TRACKERS)}")
        lowest, highest = RANGES[self.f0]
        if not lowest <= self.f0_min < self.f0_max <= highest:
            raise ValueError(
                f"f0_min {self.f0_min} and f0_max {self.f0_max} must be a rising pair of frequencies from {lowest:.1f} Hz "
                f"to {highest:.0f} Hz for {self.f0}"
            )


def column_names(settings: AudioSettings) -> list[str]:
    """The 33 column names."""
    return [settings.first, *(f"mfcc_{i}" for i in range(20)), *(f"chroma_cqt_{i}" for i in range(12))]


def column_units(settings: AudioSettings) -> list[str]:
    """Units of the columns: log F0 in ln(Hz), the zero-crossing rate per sample, MFCC in dB, chroma relative to 1."""
    return ["ln(Hz)" if settings.first == "log_f0" else "1/sample", *["dB"] * 20, *["1"] * 12]


def log_f0(samples: np.ndarray, settings: AudioSettings) -> np.ndarray:
    """Natural logarithm of the fundamental frequency.

    Parameters
    ----------
    samples : np.ndarray [shape=(n,)]
        Mono sound at 22,050 Hz.
    settings : AudioSettings
        The tracker, and its range.

    Returns
    -------
    np.ndarray [shape=(1 + n // 512,)]
        ln(Hz); 0 where a frame is unvoiced.
    """
    f0 = TRACKERS[settings.f0](samples, settings.f0_min, settings.f0_max)
    return np.log(f0, out=np.zeros_like(f0), where=f0 > 0)


def extract_audio(samples: np.ndarray, settings: AudioSettings) -> np.ndarray:
    """All columns of one clip.

    Parameters
    ----------
    samples : np.ndarray [shape=(n,)]
        Mono sound at 22,050 Hz, n >= 1.
    settings : AudioSettings
        What to extract.

    Returns
    -------
    np.ndarray [shape=(1 + n // 512, 33)]
        float32; frame i is centred on sample 512 i.

    Raises
    ------
    ValueError
        If there is no sample or a sample is not finite.
    """
    if samples.size == 0 or not np.isfinite(samples).all():
        raise ValueError("no samples, or samples that are not finite numbers")
    frames = 1 + samples.size // HOP_LENGTH
    # The analysis windows need some sound; a shorter clip is followed by silence, whose frames are cut off below.
    padded = np.pad(samples, (0, max(0, SAMPLE_RATE // 2 - samples.size)))
    if settings.first == "log_f0":
        first = log_f0(padded, settings)
    else:
        first = librosa.feature.zero_crossing_rate(padded, hop_length=HOP_LENGTH)[0]
    mfcc = librosa.feature.mfcc(y=padded, sr=SAMPLE_RATE, n_mfcc=20, hop_length=HOP_LENGTH, htk=True)
    with warnings.catch_warnings():
        # The lowest octaves of the CQT are computed on a decimated copy, which is short for any speech clip.
        warnings.filterwarnings("ignore", "n_fft=.* is too large|Trying to estimate tuning", UserWarning)
        chroma = librosa.feature.chroma_cqt(y=padded, sr=SAMPLE_RATE, hop_length=HOP_LENGTH)
    return np.vstack([first[None], mfcc, chroma]).T[:frames].astype(np.float32)
