"""Mandarin speech by espeak-ng, called in process through the wheel `espeakng_loader`: samples and timed phonemes.

espeak-ng keeps state from one sentence to the next (the phases of its oscillators, the seed of its noise, taken from the
clock), so that a sentence would sound a little different each time. A fresh load of the library for every sentence, with
a fixed seed, makes the samples depend on the text and the prosody alone; it costs about 5 ms.
"""

from __future__ import annotations

import _ctypes
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import espeakng_loader
import numpy as np

SAMPLE_RATE = 22050

# Constants of espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_PHONEME_EVENTS = 0x0001
_INITIALIZE_DONT_EXIT = 0x8000
_EVENT_LIST_TERMINATED = 0
_EVENT_PHONEME = 7
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_CHARACTERS_UTF8 = 1


class _Identifier(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h; `sample` counts from the start of the text."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identifier),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class Prosody:
    """How a sentence is spoken.

    Attributes
    ----------
    voice : str
        espeak-ng voice with its variant, for instance 'cmn+f2'.
    pitch, pitch_range : int
        0 to 99; 50 is the voice's own.
    rate : int
        Words per minute as espeak-ng counts them (80 to 450); 220 is about five syllables a second.
    level : float
        Root mean square of the samples in dB of full scale.
    """

    voice: str
    pitch: int
    pitch_range: int
    rate: int
    level: float


@dataclass(frozen=True)
class Phoneme:
    """A phoneme in espeak-ng's own notation ('' for a pause), with its start and end in seconds."""

    name: str
    start: float
    end: float


def speak(text: str, prosody: Prosody) -> tuple[np.ndarray, list[Phoneme]]:
    """Say a Mandarin text.

    Returns
    -------
    samples : np.ndarray [shape=(n,)], float32
        Mono at 22,050 Hz, ending with the last sound.
    phonemes : list of Phoneme
        In order, without gaps.

    Raises
    ------
    ValueError
        If the voice is unknown, or the Mandarin dictionary cannot read a part of the text.
    """
    chunks: list[bytes] = []
    marks: list[tuple[int, str]] = []

    def collect(wave, count, events) -> int:
        if count > 0:
            chunks.append(ctypes.string_at(wave, count * 2))
        position = 0
        while events[position].type != _EVENT_LIST_TERMINATED:
            event = events[position]
            if event.type == _EVENT_PHONEME:
                marks.append((event.sample, event.id.string.decode()))
            position += 1
        return 0

    encoded = text.encode()
    callback = _Callback(collect)  # must stay referenced while the library runs
    with _fresh_library() as library:
        library.espeak_SetSynthCallback(callback)
        if library.espeak_SetVoiceByName(prosody.voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice '{prosody.voice}': take 'cmn' with a variant of its folder voices/!v")
        for parameter, value in (
            (_RATE, prosody.rate),
            (_VOLUME, 100),
            (_PITCH, prosody.pitch),
            (_RANGE, prosody.pitch_range),
        ):
            library.espeak_SetParameter(parameter, value, 0)
        library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded) + 1), 0, 0, 0, _CHARACTERS_UTF8, None, None)
        library.espeak_Synchronize()

    foreign = [name for _, name in marks if name.startswith("(")]
    if foreign or not any(_is_sound(name) for _, name in marks):
        raise ValueError(f"espeak-ng cannot read '{text}' as Mandarin: use other words")
    samples = np.frombuffer(b"".join(chunks), dtype="<i2").astype(np.float32) / 32768
    phonemes = _phonemes(marks, len(samples))
    samples = samples[: round(phonemes[-1].end * SAMPLE_RATE)]
    gain = 10 ** (prosody.level / 20) / np.sqrt(np.mean(samples**2))
    return samples * np.float32(gain), phonemes


def _is_sound(name: str) -> bool:
    return bool(name) and not name.startswith("_")


def _phonemes(marks: list[tuple[int, str]], length: int) -> list[Phoneme]:
    """Turn the events (first sample, name) into phonemes with an end; trailing pauses are dropped."""
    ends = [sample for sample, _ in marks[1:]] + [length]
    phonemes = []
    for (start, name), end in zip(marks, ends, strict=True):
        if end > start:
            sound = name.lstrip("',%") if _is_sound(name) else ""
            phonemes.append(Phoneme(sound, start / SAMPLE_RATE, end / SAMPLE_RATE))
    while not phonemes[-1].name:
        phonemes.pop()
    return phonemes


@contextmanager
def _fresh_library() -> Iterator[ctypes.CDLL]:
    library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
    try:
        rate = library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS,
            0,
            str(espeakng_loader.get_data_path()).encode(),
            _INITIALIZE_PHONEME_EVENTS | _INITIALIZE_DONT_EXIT,
        )
        if rate != SAMPLE_RATE:
            raise RuntimeError(f"espeak-ng did not start (it answered {rate}): install espeakng-loader again")
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        yield library
        library.espeak_Terminate()
    finally:
        _ctypes.dlclose(library._handle)
