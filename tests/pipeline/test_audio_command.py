"""The audio command beside others of its kind."""

import filelock
import numpy as np
import pytest

from features.audio import AudioSettings
from pipeline import audio


def test_functions_are_compiled_by_one_process_at_a_time(monkeypatch, tmp_path):
    monkeypatch.setattr(audio, "COMPILING", tmp_path / "a lock 锁")
    looked = []

    def extract(samples, settings):
        with pytest.raises(filelock.Timeout):
            filelock.FileLock(audio.COMPILING).acquire(timeout=0)
        looked.append(samples)

    monkeypatch.setattr(audio, "extract_audio", extract)
    audio.compile_functions(AudioSettings())
    assert len(looked) == 1 and np.abs(looked[0]).max() > 0
    with filelock.FileLock(audio.COMPILING).acquire(timeout=0):
        pass  # it is free again


def test_compiling_in_advance_changes_no_value():
    random = np.random.default_rng(1)
    samples = random.normal(0, 0.1, 30_000).astype(np.float32)
    before = audio.extract_audio(samples, AudioSettings())
    audio.compile_functions(AudioSettings())
    assert audio.extract_audio(samples, AudioSettings()).tobytes() == before.tobytes()
