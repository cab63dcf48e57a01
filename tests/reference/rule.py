"""Weights and inputs by rule, so that no file has to hold them: the same for a system and for its reference."""

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from models.system import TASKS, Batch, Sequences

WIDTHS = {"text": 7, "audio": 4, "vision": 6}
LENGTH, CLIPS = 5, 4  # every clip has as many frames, so that nothing is padding
VOCABULARY = 11


def fill(system: nn.Module) -> None:
    """Give every parameter numbers drawn in the order of their names."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, parameter in sorted(system.named_parameters()):
            numbers = torch.rand(parameter.shape, generator=random) - 0.4
            # Wide layers would drive the gates into their flat ends, where gradients are all rounding.
            parameter.copy_(numbers * 3 / max(2, parameter.shape[-1] if parameter.dim() > 1 else 2) ** 0.5)


def frames() -> dict[str, Tensor]:
    """Frames of each modality: {modality: Tensor [shape=(CLIPS, LENGTH, D)]}."""
    random = torch.Generator().manual_seed(1)
    return {name: torch.randn(CLIPS, LENGTH, width, generator=random) for name, width in WIDTHS.items()}


def token_ids() -> Tensor:
    """For systems with a text encoder of their own: int64 [shape=(CLIPS, LENGTH)]."""
    return torch.randint(1, VOCABULARY, (CLIPS, LENGTH), generator=torch.Generator().manual_seed(3))


def batch_of(frames: dict[str, Tensor]) -> Batch:
    """The frames and the tokens as our systems take them."""
    return {
        name: Sequences(values, torch.full((CLIPS,), LENGTH)) for name, values in (frames | {"tokens": token_ids()}).items()
    }


def small_bert(width: int) -> BertModel:
    """The text encoder of both codes: the same class of `transformers`, one layer, no dropout."""
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12,
        max_position_embeddings=LENGTH, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return BertModel(config, add_pooling_layer=False)


def labels() -> dict[str, Tensor]:
    """A label of each clip and task."""
    random = torch.Generator().manual_seed(2)
    return {task: 2 * torch.rand(CLIPS, generator=random) - 1 for task in TASKS}
