"""Small material for the tests of systems: a configuration, a text encoder, batches of random clips."""

from pathlib import Path

import torch
import yaml
from torch import Tensor
from transformers import BertConfig, BertModel

from models import load_system
from models.system import Batch, Config, Sequences, build_config
from models.text_encoder import FineTuningConfig, TextEncoder

CONFIGS = Path(__file__).parents[2] / "config" / "models"
VOCABULARY = 40


def configuration(name: str, **changes) -> Config:
    """That of config/models/<name>.yaml, with changes."""
    values = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    return build_config(load_system(name).config_class, values | changes)


def small_encoder(config: FineTuningConfig, dropout: float = 0.1) -> TextEncoder:
    """A BERT of two layers, 16 wide, with random weights: seed torch before."""
    bert = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    return TextEncoder(BertModel(bert, add_pooling_layer=False), config)


def random_batch(widths: dict[str, int], longest: dict[str, int], clips: int, seed: int = 0) -> Batch:
    """Random frames of each modality, and token ids as long as the text; the padding is random as well.

    The first clip is as long as the longest of each modality, the last of several has one frame.
    """
    generator = torch.Generator().manual_seed(seed)
    batch = {}
    for modality, length in longest.items():
        lengths = torch.randint(1, length + 1, (clips,), generator=generator)
        lengths[-1], lengths[0] = 1, length
        batch[modality] = Sequences(torch.randn(clips, length, widths[modality], generator=generator), lengths)
    ids = torch.randint(1, VOCABULARY, (clips, longest["text"]), generator=generator)
    return batch | {"tokens": Sequences(ids, batch["text"].lengths)}


def choose(batch: Batch, indices: Tensor | list[int]) -> Batch:
    """The clips at `indices`, padded to the longest of them."""
    chosen = {}
    for modality, (values, lengths) in batch.items():
        lengths = lengths[indices]
        chosen[modality] = Sequences(values[indices, : int(lengths.max())], lengths)
    return chosen
