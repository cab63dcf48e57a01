"""Audio features against sounds whose pitch is known, and against librosa's own functions."""

import librosa
import numpy as np
import pytest

from demo.speech import Prosody, speak
from features.audio import HOP_LENGTH, SAMPLE_RATE, AudioSettings, column_names, column_units, extract_audio, log_f0


def glide(start, end, seconds=2.0, harmonics=8):
    """A voice-like sound whose F0 moves evenly in log frequency, and F0 at each analysis frame."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    f0 = start * (end / start) ** (time / seconds)
    phase = 2 * np.pi * np.cumsum(f0) / SAMPLE_RATE
    sound = sum(np.sin(k * phase) / k for k in range(1, harmonics + 1))
    return (0.2 * sound).astype(np.float32), f0[::HOP_LENGTH]


@pytest.mark.parametrize(("start", "end"), [(110, 220), (300, 150), (90, 130), (200, 420)])
def test_f0_of_a_glide_is_within_two_percent(start, end):
    samples, truth = glide(start, end)
    found = log_f0(samples, 65, 600)[: len(truth)]
    voiced = found > 0
    assert voiced.mean() > 0.9
    error = np.abs(np.exp(found[voiced]) / truth[voiced] - 1)
    assert (error < 0.02).mean() >= 0.95


def test_log_f0_of_a_tone_and_of_noise():
    samples, _ = glide(200, 200)
    values = extract_audio(samples, AudioSettings())[:, 0]
    assert np.median(values) == pytest.approx(np.log(200), abs=0.01)
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    assert (extract_audio(noise, AudioSettings())[:, 0] == 0).mean() > 0.8


def test_zcr_option_counts_zero_crossings():
    samples = np.sin(2 * np.pi * 441 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    settings = AudioSettings(first="zcr")
    values = extract_audio(samples, settings)[5:-5, 0]
    assert np.median(values) == pytest.approx(2 * 441 / SAMPLE_RATE, rel=0.05)
    assert column_names(settings)[0] == "zcr" and column_units(settings)[0] == "1/sample"


@pytest.mark.parametrize(("frequency", "pitch_class"), [(440.0, 9), (261.63, 0), (392.0, 7)])
def test_chroma_finds_the_pitch_class(frequency, pitch_class):
    samples = (0.3 * np.sin(2 * np.pi * frequency * np.arange(SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32)
    chroma = extract_audio(samples, AudioSettings())[:, 21:]
    assert chroma.mean(0).argmax() == pitch_class


def test_mfcc_zero_follows_loudness():
    samples, _ = glide(200, 200)
    loud = extract_audio(samples, AudioSettings(first="zcr"))[:, 1]
    soft = extract_audio(samples / 10, AudioSettings(first="zcr"))[:, 1]
    # 20 dB less in each of 128 mel bands is 20 sqrt(128) less in the first orthonormal cosine coefficient.
    assert np.median(loud - soft) == pytest.approx(20 * np.sqrt(128), rel=0.02)


@pytest.mark.parametrize("length", [1, 100, 511, 512, 5000, SAMPLE_RATE])
def test_shape_and_finite_at_any_length(length):
    samples = np.random.default_rng(1).normal(0, 0.1, length).astype(np.float32)
    values = extract_audio(samples, AudioSettings())
    assert values.shape == (1 + length // HOP_LENGTH, 33) == (len(values), len(column_names(AudioSettings())))
    assert np.isfinite(values).all() and values.dtype == np.float32


def test_silence_is_finite_and_unvoiced():
    values = extract_audio(np.zeros(SAMPLE_RATE, np.float32), AudioSettings())
    assert np.isfinite(values).all() and (values[:, 0] == 0).all()


def test_bad_input():
    with pytest.raises(ValueError, match="no samples"):
        extract_audio(np.zeros(0, np.float32), AudioSettings())
    with pytest.raises(ValueError, match="finite"):
        extract_audio(np.array([0.0, np.nan], np.float32), AudioSettings())
    with pytest.raises(ValueError, match="'f0' is unknown"):
        AudioSettings(first="f0")
    for f0_min, f0_max in ((300, 200), (0, 600), (20, 600), (65, 12000)):
        with pytest.raises(ValueError, match="rising pair"):
            AudioSettings(f0_min=f0_min, f0_max=f0_max)


def test_all_columns_are_those_of_librosa():
    speech, _ = speak("食堂的红烧肉不怎么地道", Prosody("cmn+f2", pitch=50, pitch_range=80, rate=260, level=-25.0))
    shared = {"sr": SAMPLE_RATE, "hop_length": HOP_LENGTH}
    f0, voiced, _ = librosa.pyin(speech, fmin=65, fmax=600, **shared)
    mfcc = librosa.feature.mfcc(y=speech, n_mfcc=20, htk=True, **shared)
    chroma = librosa.feature.chroma_cqt(y=speech, **shared)
    expected = np.vstack([np.where(voiced, np.log(f0), 0)[None], mfcc, chroma]).T
    np.testing.assert_allclose(extract_audio(speech, AudioSettings()), expected, atol=1e-4)
