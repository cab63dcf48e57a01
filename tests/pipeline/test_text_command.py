"""The text command: a manifest and an encoder in, a feature store out."""

import sys

import pytest
import transformers

import pipeline.text
from pipeline.base.store import read_store
from pipeline.sources.manifest_table import COLUMNS

TEXTS = ["今天很好", "", "好"]


@pytest.fixture
def encoder(tmp_path):
    """A BERT small enough to be made on the spot."""
    folder = tmp_path / "小 encoder"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"今天很好"]
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    vocab = {token: i for i, token in enumerate(vocabulary)}
    transformers.BertTokenizer(vocab=vocab, model_max_length=512).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_store_holds_every_text_and_the_precision(monkeypatch, tmp_path, encoder, precision):
    lines = [",".join(COLUMNS)]
    lines += [f"v,{i},a.mp4,0,1,{text},0,0,0,0,train" for i, text in enumerate(TEXTS)]
    manifest, output = tmp_path / "manifest.csv", tmp_path / "v.h5"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = ["text", "--manifest", str(manifest), "--video-id", "v", "--encoder", str(encoder), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", [*command, "--precision", precision])
    pipeline.text.main()
    store = read_store(output)
    assert store.attributes.settings == {"encoder": "小 encoder", "batch_size": 8, "precision": precision}
    assert [clip.values.shape for clip in store.clips.values()] == [(6, 8), (2, 8), (3, 8)]
    assert [clip.flags for clip in store.clips.values()] == [[], ["empty_text"], []]
