"""The audio command beside others of its kind."""

import importlib.metadata
import sys

import filelock
import numpy as np
import pytest

from features.audio import AudioSettings
from features.hashing import sha256_of
from features.pitch import HOP_LENGTH, SAMPLE_RATE, WEIGHTS
from pipeline import audio
from pipeline.base.store import read_store
from tests.sound import write_wav


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


@pytest.fixture
def clips(tmp_path):
    """A clips folder: a voice, hiss with a twentieth of voice, and silence."""
    folder = tmp_path / "clips" / "video 一"
    folder.mkdir(parents=True)
    time = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    voice = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 9)) / 10
    hiss = np.random.default_rng(0).normal(0, 0.03, len(time))
    write_wav(folder / "voice.wav", voice)
    write_wav(folder / "hiss.wav", hiss + voice * (time < 0.2))
    write_wav(folder / "silence.wav", np.zeros(len(time)))
    rows = [f"{name},,{name}.wav,," for name in ("voice", "hiss", "silence")]
    (folder / "clips.csv").write_text("\n".join(["clip_id,video,audio,flags,message", *rows]) + "\n", encoding="utf-8")
    return folder


def extract(monkeypatch, clips, *arguments):
    """The store that the command writes."""
    output = clips.parent / "audio.h5"
    command = ["audio", "--clips", str(clips), "--output", str(output), *arguments]
    monkeypatch.setattr(sys, "argv", command)
    audio.main()
    return read_store(output)


@pytest.mark.parametrize("tracker", ["swift_f0", "pyin"])
def test_a_clip_without_a_voice_is_flagged_once(clips, monkeypatch, tracker):
    store = extract(monkeypatch, clips, "--f0", tracker)
    assert {name: clip.flags for name, clip in store.clips.items()} == {
        "voice": [],
        "hiss": ["little_voiced"],
        "silence": ["silent"],
    }
    assert store.clips["hiss"].message.startswith("video 一/hiss: ") and "check the recording" in store.clips["hiss"].message
    assert all(clip.values.shape == (1 + 4 * SAMPLE_RATE // HOP_LENGTH, 33) for clip in store.clips.values())


def test_the_store_says_what_found_f0(clips, monkeypatch):
    by_network = extract(monkeypatch, clips).attributes
    assert by_network.settings["f0"] == "swift_f0"
    assert by_network.weights == {"swift_f0/model.onnx": sha256_of(WEIGHTS)}
    assert by_network.versions["swift-f0"] == importlib.metadata.version("swift-f0")
    by_pyin = extract(monkeypatch, clips, "--f0", "pyin").attributes
    assert by_pyin.settings["f0"] == "pyin" and by_pyin.weights == {} and set(by_pyin.versions) == {"librosa", "numpy"}


def test_the_zero_crossing_rate_says_nothing_of_voice(clips, monkeypatch):
    store = extract(monkeypatch, clips, "--first", "zcr")
    assert store.attributes.weights == {}
    assert [clip.flags for clip in store.clips.values()] == [[], [], ["silent"]]
