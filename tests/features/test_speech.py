"""Clips of speech: known answers on probabilities, and synthetic speech between pauses."""

import importlib.util
import itertools
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import pytest

from demo.speech import Prosody, speak
from features.speech import LONGEST, SHORTEST, STEP, clips_of, loudness, speech_probability, speech_spans


def probability_of(*spans, seconds=60.0):
    """1 inside the spans (s), 0 elsewhere."""
    times = (np.arange(round(seconds / STEP)) + 0.5) * STEP
    return sum(((times > start) & (times < end)).astype(np.float32) for start, end in spans)


def test_speech_begins_sure_and_ends_late():
    probability = np.array([0.1, 0.4, 0.6, 0.4, 0.4, 0.6, 0.3, 0.4, 0.2], np.float32)
    assert speech_spans(np.repeat(probability, 2)) == [(4 * STEP, 12 * STEP)]
    assert speech_spans(np.array([0, 0.9, 0, 0])) == []  # a click


def test_clips_part_at_pauses_and_keep_a_little_silence():
    clips = clips_of(probability_of((1, 3), (3.2, 5), (6, 9), seconds=10), 10.0)
    np.testing.assert_allclose(clips, [(0.85, 5.15), (5.85, 9.15)], atol=0.05)


def test_short_speech_is_joined_or_widened():
    near = clips_of(probability_of((1, 3), (3.6, 3.9), (8, 10), seconds=12), 12.0)
    np.testing.assert_allclose(near, [(0.85, 4.05), (7.85, 10.15)], atol=0.05)
    alone = clips_of(probability_of((5, 5.3), seconds=12), 12.0)
    np.testing.assert_allclose(alone, [(4.65, 5.65)], atol=0.05)
    at_the_edge = clips_of(probability_of((0, 0.3), seconds=12), 12.0)
    np.testing.assert_allclose(at_the_edge, [(0, 1)], atol=0.05)


def test_long_speech_is_cut_where_it_is_least_likely():
    probability = probability_of((1, 41), seconds=50)
    for moment in (11.0, 22.0, 33.0):
        probability[int(moment / STEP)] = 0.6
    clips = clips_of(probability, 50.0)
    assert [round(start) for start, _ in clips] == [1, 11, 22, 33] and clips[0][1] == clips[1][0]


@pytest.mark.parametrize("seconds", np.arange(14, 60, 0.37))
def test_speech_of_any_length_is_cut(seconds):
    random = np.random.default_rng(0)
    probability = np.clip(random.normal(0.8, 0.1, round(seconds / STEP)), 0.4, 1).astype(np.float32)
    probability[0] = 1
    lengths = np.diff(clips_of(probability, len(probability) * STEP))
    assert (lengths <= LONGEST + 1e-6).all() and (lengths >= 4).all()


def test_hours_without_a_pause_are_cut_too():
    clips = np.array(clips_of(np.ones(round(5 * 3600 / STEP), np.float32), 5 * 3600.0))
    assert (np.diff(clips, axis=1) <= LONGEST).all() and clips[0, 0] == 0 and clips[-1, 1] == pytest.approx(5 * 3600, abs=0.1)
    np.testing.assert_allclose(clips[1:, 0], clips[:-1, 1])


@pytest.mark.skipif(importlib.util.find_spec("silero_vad") is None, reason="requirements-add-videos.txt is not installed")
@pytest.mark.parametrize("voice", ["cmn+f1", "cmn+m1"])
def test_whoever_speaks_in_haste_is_not_cut_inside_a_sound(voice):
    """Sentences .08 s apart, which is no pause; the phonemes tell where a mouth is at rest."""
    texts = pd.read_csv(Path(__file__).parents[2] / "data_manifest.csv")["text"].sample(32, random_state=5)
    random, parts, rests, time = np.random.default_rng(5), [], [], 0.0
    for text in texts:
        samples, phonemes = speak(text, Prosody(voice, 50, 50, 220, -24.0))
        rests += [(time + phoneme.start, time + phoneme.end) for phoneme in phonemes if phoneme.name == ""]
        end = time + len(samples) / 22050
        time = end + 0.08
        rests.append((end, time))
        parts += [samples, np.zeros(round(0.08 * 22050))]
    sound = np.concatenate(parts)
    sound = librosa.resample(sound + 1e-3 * random.standard_normal(len(sound)), orig_sr=22050, target_sr=16000)
    clips = clips_of(speech_probability([sound]), len(sound) / 16000, level=loudness([sound]))
    cuts = [end for (_, end), (start, _) in itertools.pairwise(clips) if start == end]
    assert len(cuts) >= 3
    assert [cut for cut in cuts if not any(start - 0.02 <= cut <= end + 0.02 for start, end in rests)] == []


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_said_clips_are_1_to_15_s_and_apart(seed):
    random = np.random.default_rng(seed)
    probability = np.clip(np.convolve(random.normal(0.5, 1.5, 6000), np.ones(20) / 20, "same"), 0, 1)
    duration = 6000 * STEP
    clips = np.array(clips_of(probability, duration))
    lengths = np.diff(clips, axis=1)
    assert (lengths >= SHORTEST - 1e-6).mean() > 0.9 and (lengths <= LONGEST + 1e-6).all() and (lengths > 0).all()
    assert (clips[1:, 0] >= clips[:-1, 1] - 1e-9).all() and clips[0, 0] >= 0 and clips[-1, 1] <= duration
    middles = [(start + end) / 2 for start, end in speech_spans(probability)]
    assert all(((clips[:, 0] <= middle) & (middle <= clips[:, 1])).any() for middle in middles)
