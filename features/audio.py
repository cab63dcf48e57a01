"""Audio features: 33 columns per frame, 22,050 Hz sound, hop 512 samples (43.07 frames/s).

Columns: `log_f0` (natural logarithm of F0 in Hz, 0 where unvoiced; or `zcr`, the zero-crossing rate), `mfcc_0..19`,
`chroma_cqt_0..11`. Yu et al. 2020 (CH-SIMS, section 3.3) name these three groups, computed with librosa's defaults.
Their released files hold the zero-crossing rate in the place of log F0; `first="zcr"` reproduces that.
"""

import warnings
from dataclasses import dataclass

import librosa
import numpy as np

SAMPLE_RATE = 22050
HOP_LENGTH = 512
PYIN_WINDOW = 2048  # samples, librosa's default
FRAME_RATE = SAMPLE_RATE / HOP_LENGTH
# Below this root mean square (full scale is 1; -66 dB) a clip has no sound worth the name.
SILENCE = 5e-4


@dataclass(frozen=True)
class AudioSettings:
    """What to extract.

    Attributes
    ----------
    first : str
        'log_f0' (pyin) or 'zcr', the content of column 0.
    f0_min, f0_max : float
        Hz, the speech range that pyin searches; two periods of f0_min fit into its window of 93 ms.
    """

    first: str = "log_f0"
    f0_min: float = 65.0
    f0_max: float = 600.0

    def __post_init__(self) -> None:
        if self.first not in ("log_f0", "zcr"):
            raise ValueError(f"first: '{self.first}' is unknown; choose log_f0 or zcr")
        lowest, highest = 2 * SAMPLE_RATE / PYIN_WINDOW, SAMPLE_RATE / 2
        if not lowest < self.f0_min < self.f0_max <= highest:
            raise ValueError(
                f"f0_min {self.f0_min} and f0_max {self.f0_max} must be a rising pair of frequencies above {lowest:.2f} Hz "
                f"and up to {highest:.0f} Hz"
            )


def column_names(settings: AudioSettings) -> list[str]:
    """The 33 column names."""
    return [settings.first, *(f"mfcc_{i}" for i in range(20)), *(f"chroma_cqt_{i}" for i in range(12))]


def column_units(settings: AudioSettings) -> list[str]:
    """Units of the columns: log F0 in ln(Hz), the zero-crossing rate per sample, MFCC in dB, chroma relative to 1."""
    return ["ln(Hz)" if settings.first == "log_f0" else "1/sample", *["dB"] * 20, *["1"] * 12]


def log_f0(samples: np.ndarray, f0_min: float, f0_max: float) -> np.ndarray:
    """Natural logarithm of the fundamental frequency by probabilistic YIN (Mauch & Dixon 2014).

    Parameters
    ----------
    samples : np.ndarray [shape=(n,)]
        Mono sound at 22,050 Hz.
    f0_min, f0_max : float
        Hz.

    Returns
    -------
    np.ndarray [shape=(1 + n // 512,)]
        ln(Hz); 0 where a frame is unvoiced.
    """
    f0, voiced, _ = librosa.pyin(samples, fmin=f0_min, fmax=f0_max, sr=SAMPLE_RATE, hop_length=HOP_LENGTH)
    return np.where(voiced, np.log(np.where(voiced, f0, 1.0)), 0.0)


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
        first = log_f0(padded, settings.f0_min, settings.f0_max)
    else:
        first = librosa.feature.zero_crossing_rate(padded, hop_length=HOP_LENGTH)[0]
    mfcc = librosa.feature.mfcc(y=padded, sr=SAMPLE_RATE, n_mfcc=20, hop_length=HOP_LENGTH, htk=True)
    with warnings.catch_warnings():
        # The lowest octaves of the CQT are computed on a decimated copy, which is short for any speech clip.
        warnings.filterwarnings("ignore", "n_fft=.* is too large|Trying to estimate tuning", UserWarning)
        chroma = librosa.feature.chroma_cqt(y=padded, sr=SAMPLE_RATE, hop_length=HOP_LENGTH)
    return np.vstack([first[None], mfcc, chroma]).T[:frames].astype(np.float32)
