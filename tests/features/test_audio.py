"""Audio features against sounds whose pitch is known, and against librosa's own functions."""

import librosa
import numpy as np
import pytest

from demo.speech import Prosody, speak
from features.audio import AudioSettings, column_names, column_units, extract_audio, log_f0
from features.pitch import HOP_LENGTH, PYIN, SAMPLE_RATE, TRACKERS, load_network

both_trackers = pytest.mark.parametrize("tracker", TRACKERS)


def glide(start, end, seconds=2.0, harmonics=8):
    """A voice-like sound whose F0 moves evenly in log frequency, and F0 at each analysis frame."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    f0 = start * (end / start) ** (time / seconds)
    phase = 2 * np.pi * np.cumsum(f0) / SAMPLE_RATE
    sound = sum(np.sin(k * phase) / k for k in range(1, harmonics + 1))
    return (0.2 * sound).astype(np.float32), f0[::HOP_LENGTH]


def find_f0(samples, tracker):
    """F0 in Hz, 0 where unvoiced."""
    values = log_f0(samples, AudioSettings(f0=tracker))
    return np.where(values > 0, np.exp(values), 0)


@both_trackers
@pytest.mark.parametrize(("start", "end"), [(110, 220), (300, 150), (90, 130), (200, 420), (75, 85), (380, 430)])
def test_f0_of_a_glide_is_within_two_percent(start, end, tracker):
    samples, truth = glide(start, end)
    found = find_f0(samples, tracker)[: len(truth)]
    voiced = found > 0
    assert voiced.mean() > 0.9
    error = np.abs(found[voiced] / truth[voiced] - 1)
    assert (error < 0.02).mean() >= 0.95


@both_trackers
def test_f0_is_that_of_the_middle_of_its_frame(tracker):
    octaves_a_second = 1.5
    late = []
    for start, end in ((100, 100 * 2**octaves_a_second), (100 * 2**octaves_a_second, 100)):
        samples, truth = glide(start, end, seconds=1.0, harmonics=20)
        found = find_f0(samples, tracker)[: len(truth)]
        inner = found[8:-8] > 0
        errors = np.log2(found[8:-8][inner] / truth[8:-8][inner])
        assert np.percentile(np.abs(errors), 95) < 0.01
        late.append(-np.median(errors) / octaves_a_second * (1 if end > start else -1))
    # An error that both directions share is one of pitch; what is left is one of time.
    assert abs(np.mean(late)) < 0.002
    assert abs(late[0] - late[1]) / 2 * octaves_a_second < 0.004


@both_trackers
def test_noise_in_the_pauses_is_unvoiced(tracker):
    voice, truth = glide(120, 180, seconds=3.0)
    frames = np.arange(len(voice) // HOP_LENGTH + 1) * HOP_LENGTH / SAMPLE_RATE
    speaks = np.arange(len(voice)) / SAMPLE_RATE % 1 < 0.5
    noise = np.random.default_rng(0).normal(size=len(voice)) * np.sqrt(np.mean(voice[speaks] ** 2)) * 10 ** (-45 / 20)
    found = find_f0((voice * speaks + noise).astype(np.float32), tracker)
    phase = frames % 1
    assert (found[(phase > 0.6) & (phase < 0.9)] == 0).mean() > 0.95
    spoken = (phase > 0.1) & (phase < 0.4)
    assert (found[spoken] > 0).all()
    assert np.abs(found[: len(truth)][spoken] / truth[spoken] - 1).max() < 0.03


@both_trackers
def test_hiss_and_digital_silence_are_unvoiced(tracker):
    random = np.random.default_rng(0)
    for level in (0.3, 0.01, 3e-5):  # the last: the least bit of a 16-bit file
        noise = np.round(random.normal(0, level, SAMPLE_RATE) * 32768) / 32768
        assert (find_f0(noise.astype(np.float32), tracker) == 0).mean() > 0.9
    assert (find_f0(np.zeros(SAMPLE_RATE, np.float32), tracker) == 0).all()


@both_trackers
def test_a_recording_at_another_level_is_voiced_on_the_same_frames(tracker):
    speech, _ = speak("食堂的红烧肉不怎么地道", Prosody("cmn+m3", pitch=40, pitch_range=60, rate=220, level=-25.0))
    loud, quiet = find_f0(speech, tracker), find_f0(speech / 16, tracker)
    assert ((loud > 0) == (quiet > 0)).mean() > 0.98
    assert 0.4 < (loud > 0).mean() < 0.95


@both_trackers
def test_f0_stays_within_its_range(tracker):
    samples, _ = glide(100, 400, seconds=3.0)
    values = log_f0(samples, AudioSettings(f0=tracker, f0_min=150, f0_max=300))
    found = np.exp(values[values > 0])
    assert len(found) and found.min() > 150 * 0.98 and found.max() < 300 * 1.02


def test_the_network_runs_in_one_thread_and_gives_the_same_bytes():
    options = load_network().session.get_session_options()
    assert options.intra_op_num_threads == 1
    samples, _ = glide(110, 220)
    assert find_f0(samples, "swift_f0").tobytes() == find_f0(samples.copy(), "swift_f0").tobytes()


def test_long_sound_is_tracked_to_its_end():
    samples, truth = glide(110, 220, seconds=70.0)  # the network works through more than one window
    found = find_f0(samples, "swift_f0")
    assert len(found) == 1 + len(samples) // HOP_LENGTH
    assert np.abs(found[5:-5] / truth[5 : len(found) - 5] - 1).max() < 0.02


@both_trackers
def test_log_f0_of_a_tone_and_of_noise(tracker):
    samples, _ = glide(200, 200)
    values = extract_audio(samples, AudioSettings(f0=tracker))[:, 0]
    assert np.median(values) == pytest.approx(np.log(200), abs=0.01)
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    assert (extract_audio(noise, AudioSettings(f0=tracker))[:, 0] == 0).mean() > 0.8


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
    with pytest.raises(ValueError, match="'yin' is unknown; choose swift_f0 or pyin"):
        AudioSettings(f0="yin")
    for f0_min, f0_max in ((300, 200), (0, 600), (20, 600), (65, 12000)):
        with pytest.raises(ValueError, match="rising pair"):
            AudioSettings(f0_min=f0_min, f0_max=f0_max)
    with pytest.raises(ValueError, match="from 46.9 Hz to 2094 Hz for swift_f0"):
        AudioSettings(f0_min=45)
    assert AudioSettings(f0="pyin", f0_min=45).f0_min == 45


def test_all_columns_are_those_of_librosa():
    speech, _ = speak("食堂的红烧肉不怎么地道", Prosody("cmn+f2", pitch=50, pitch_range=80, rate=260, level=-25.0))
    shared = {"sr": SAMPLE_RATE, "hop_length": HOP_LENGTH}
    f0, voiced, _ = librosa.pyin(speech, fmin=65, fmax=600, **shared, **PYIN)
    mfcc = librosa.feature.mfcc(y=speech, n_mfcc=20, htk=True, **shared)
    chroma = librosa.feature.chroma_cqt(y=speech, **shared)
    expected = np.vstack([np.where(voiced, np.log(f0), 0)[None], mfcc, chroma]).T
    np.testing.assert_allclose(extract_audio(speech, AudioSettings(f0="pyin")), expected, atol=1e-4)
