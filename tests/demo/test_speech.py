import warnings
from dataclasses import replace

import librosa
import numpy as np
import pytest
from scipy.stats import spearmanr

from demo.plan import VOICES, plan_corpus
from demo.speech import SAMPLE_RATE, Prosody, speak

PROSODY = Prosody("cmn+f2", pitch=50, pitch_range=50, rate=260, level=-25.0)
TEXT = "食堂的红烧肉不怎么地道，真没想到"


def median_f0(samples: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        f0, voiced, _ = librosa.pyin(samples, fmin=65, fmax=600, sr=SAMPLE_RATE, hop_length=512)
    assert voiced.mean() > 0.3
    return float(np.median(f0[voiced]))


def test_samples_do_not_depend_on_what_was_said_before():
    first, _ = speak(TEXT, PROSODY)
    speak("谢谢你一直支持我", replace(PROSODY, voice="cmn+m2", pitch=70))
    second, _ = speak(TEXT, PROSODY)
    assert first.dtype == np.float32
    assert np.array_equal(first, second)


def test_phonemes_are_timed():
    samples, phonemes = speak("爸爸不怕", PROSODY)
    assert [phoneme.name for phoneme in phonemes if phoneme.name] == ["p", "A", "p", "A", "p", "u", "ph", "A"]
    for before, after in zip(phonemes[:-1], phonemes[1:], strict=True):
        assert before.start < before.end == after.start
    assert phonemes[-1].end == pytest.approx(len(samples) / SAMPLE_RATE, abs=1e-4)
    # A stop is quieter than the vowel after it.
    loudness = [
        np.sqrt(np.mean(samples[int(p.start * SAMPLE_RATE) : int(p.end * SAMPLE_RATE)] ** 2)) for p in phonemes if p.name
    ]
    assert np.mean(loudness[0::2]) < 0.5 * np.mean(loudness[1::2])


def test_level_and_rate():
    loud, _ = speak(TEXT, replace(PROSODY, level=-20.0))
    quiet, _ = speak(TEXT, replace(PROSODY, level=-30.0))
    assert 20 * np.log10(np.sqrt(np.mean(loud**2))) == pytest.approx(-20, abs=0.01)
    assert np.allclose(loud, quiet * np.sqrt(10), rtol=1e-4)
    fast, _ = speak(TEXT, replace(PROSODY, rate=330))
    assert len(fast) < 0.85 * len(loud)


@pytest.mark.parametrize("voice", ["f2", "linda", "adam", "m6"])
def test_pitch_follows_its_setting(voice):
    middle = 50 if voice in VOICES["female"] else 70
    settings = [middle + step for step in (-18, -9, 0, 9, 18)]
    f0 = [median_f0(speak(TEXT, replace(PROSODY, voice=f"cmn+{voice}", pitch=pitch))[0]) for pitch in settings]
    assert np.all(np.diff(f0) > 0)


def test_median_f0_follows_the_pitch_of_a_speaker_over_different_sentences():
    clips = plan_corpus(2, 20, seed=1)
    for video_id in ("video_0001", "video_0002"):
        spoken = [clip for clip in clips if clip.video_id == video_id]
        f0 = [median_f0(speak(clip.text, clip.prosody)[0]) for clip in spoken]
        assert spearmanr([clip.prosody.pitch for clip in spoken], f0).statistic >= 0.9


def test_what_cannot_be_spoken():
    with pytest.raises(ValueError, match="no voice 'nobody'"):
        speak(TEXT, replace(PROSODY, voice="nobody"))
    with pytest.raises(ValueError, match="cannot read"):
        speak("我喜欢 music", PROSODY)
    with pytest.raises(ValueError, match="cannot read"):
        speak("", PROSODY)
