"""The pre-trained text encoder as a part of a system that fine-tunes it (BERT: Devlin et al., NAACL 2019)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.system import Config, Sequences


@dataclass(frozen=True, kw_only=True)
class FineTuningConfig(Config):
    """Settings of a system that fine-tunes its text encoder."""

    encoder_learning_rate: float
    encoder_weight_decay: float = 0.0
    freeze_embeddings: bool = False  # keep the table of word vectors as it is
    frozen_layers: int = 0  # the embeddings and this many lowest layers stay as they are


class TextEncoder(nn.Module):
    """Token ids to token states: embeddings, then transformer layers; the frozen part of them runs without dropout.

    Parameters
    ----------
    model : nn.Module
        A BERT-like model of `transformers`, as `features.text.load_model` gives it. It is taken over, not copied.
    config : FineTuningConfig

    Attributes
    ----------
    width : int
        H, the width of a token's state.
    """

    def __init__(self, model: nn.Module, config: FineTuningConfig):
        super().__init__()
        if not 0 <= config.frozen_layers <= len(model.encoder.layer):
            raise ValueError(f"key 'frozen_layers': {config.frozen_layers}; the encoder has {len(model.encoder.layer)} layers")
        self.frozen_layers = config.frozen_layers
        self.width = model.config.hidden_size
        self.heads = model.config.num_attention_heads
        self.embeddings = model.embeddings
        self.layers = model.encoder.layer
        if config.frozen_layers:
            self.frozen = [self.embeddings, *self.layers[: config.frozen_layers]]
        else:
            self.frozen = [self.embeddings.word_embeddings] if config.freeze_embeddings else []
        for module in self.frozen:
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> "TextEncoder":
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def embed(self, tokens: Sequences) -> Tensor:
        """Embedded token ids, before the first layer: [B, L] -> [B, L, H]."""
        return self.embeddings(input_ids=tokens.values)

    def encode(self, states: Tensor, mask: Tensor, first: int = 0, last: int | None = None) -> Tensor:
        """States behind the layers first ... last - 1: [B, L, H] -> [B, L, H]; mask : bool [B, L], true tokens."""
        # An additive mask serves every implementation of attention in transformers.
        hidden = torch.zeros_like(mask, dtype=states.dtype).masked_fill(~mask, torch.finfo(states.dtype).min)
        for layer in self.layers[first:last]:
            states = layer(states, hidden[:, None, None])
        return states

    def frozen_states(self, tokens: Sequences) -> Tensor:
        """States behind the frozen layers, which training never changes: [B, L] -> [B, L, H]."""
        return self.encode(self.embed(tokens), tokens.mask, last=self.frozen_layers)

    def forward(self, tokens: Sequences) -> Sequences:
        """Last states of all tokens.

        tokens : ids int64 [B, L]; or [B, L, H], what `frozen_states` gave for them, so that it need be computed but once.
        """
        states = tokens.values if tokens.values.is_floating_point() else self.frozen_states(tokens)
        return Sequences(self.encode(states, tokens.mask, first=self.frozen_layers), tokens.lengths)


def fine_tuning_groups(system: nn.Module, config: FineTuningConfig) -> list[dict]:
    """Optimiser groups of a system whose text encoder is `system.encoder`: the encoder with its own rate, and the rest."""
    encoder = [parameter for parameter in system.encoder.parameters() if parameter.requires_grad]
    rest = [parameter for name, parameter in system.named_parameters() if not name.startswith("encoder.")]
    return [
        {"params": encoder, "lr": config.encoder_learning_rate, "weight_decay": config.encoder_weight_decay},
        {"params": rest, "weight_decay": config.weight_decay},
    ]
