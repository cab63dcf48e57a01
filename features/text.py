"""Text features: the last hidden state of a pre-trained encoder, one vector per token with [CLS] and [SEP].

Yu et al. 2020 (CH-SIMS, section 3.3): pre-trained Chinese BERT, two special tokens around each transcript, no word
segmentation.
"""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel

PRECISIONS = ("float32", "bfloat16")


@dataclass
class TokenVectors:
    """One text.

    Attributes
    ----------
    values : np.ndarray [shape=(tokens, hidden)]
        float32.
    ids : np.ndarray [shape=(tokens,)]
        int32, the tokens in the encoder's vocabulary.
    tokens : list of str
        [CLS], the pieces, [SEP].
    offsets : np.ndarray [shape=(tokens, 2)]
        First character of each token in the text and the one after its last; (0, 0) for the special tokens.
    truncated : bool
        Whether the text was longer than the encoder can read.
    """

    values: np.ndarray
    ids: np.ndarray
    tokens: list[str]
    offsets: np.ndarray
    truncated: bool


def load_model(name: str | Path) -> PreTrainedModel:
    """A transformers encoder in float32, without pooler: a local folder, or a model of the hub.

    Raises
    ------
    OSError
        If there is no such folder and the hub cannot be reached.
    """
    try:
        config = AutoConfig.from_pretrained(str(name))
        # Token vectors are wanted: BERT's pooler would only be in the way (and random where a checkpoint has none).
        pooler = {"add_pooling_layer": False} if config.model_type in ("bert", "roberta", "xlm-roberta") else {}
        return AutoModel.from_pretrained(str(name), dtype=torch.float32, use_safetensors=True, **pooler)
    except OSError as error:
        raise OSError(
            f"text encoder '{name}': neither a local folder with a safetensors checkpoint nor a model that the hub gives; "
            "set `text: encoder:` to a local folder, or connect to the network"
        ) from error


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 numbers by instructions of its own."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return any(there for name, there in torch.cpu.get_capabilities().items() if name.endswith("bf16"))


class Encoder:
    """A transformers encoder with its tokenizer.

    Parameters
    ----------
    name : str or Path
        A local folder, or a model of the hub such as 'bert-base-chinese'.
    precision : str
        'float32', or 'bfloat16' for the matrix products (a relative error of about 4e-3, see benchmarks/features_speed.py);
        a device without instructions for it computes the same in more time, and a warning says so.

    Raises
    ------
    ValueError
        If the precision is another.
    OSError
        If there is no such folder and the hub cannot be reached.
    """

    def __init__(self, name: str | Path, precision: str = "float32") -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"precision: '{precision}' is unknown; choose {' or '.join(PRECISIONS)}")
        self.precision = precision
        self.model = load_model(name)
        self.tokenizer = AutoTokenizer.from_pretrained(str(name), use_fast=True)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model.eval().to(self.device)
        if precision == "bfloat16" and not has_bfloat16(self.device):
            warnings.warn(f"{self.device} has no instructions for bfloat16: float32 is faster here", stacklevel=2)
        self.hidden = self.model.config.hidden_size
        self.longest = min(self.tokenizer.model_max_length, self.model.config.max_position_embeddings)

    @torch.inference_mode()
    def encode(self, texts: list[str], batch_size: int = 8) -> list[TokenVectors]:
        """Vectors of every token of every text.

        Texts of similar length share a batch, so that little is padding; what else is in a batch changes a value by no
        more than its rounding. Batches are small, since a video has few texts: 8 of one length use a core as well as 32.

        Parameters
        ----------
        texts : list of str
            An empty text gives the two special tokens.
        batch_size : int
            Texts per batch.

        Returns
        -------
        list of TokenVectors
            In the order of `texts`.
        """
        if not texts:
            return []
        lengths = [len(ids) for ids in self.tokenizer(texts, verbose=False)["input_ids"]]
        order = sorted(range(len(texts)), key=lambda i: (lengths[i], i))
        vectors: dict[int, TokenVectors] = {}
        # One context around all batches: it converts each weight once.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            for first in range(0, len(order), batch_size):
                chosen = order[first : first + batch_size]
                batch = self.tokenizer(
                    [texts[i] for i in chosen],
                    padding=True,
                    truncation=True,
                    max_length=self.longest,
                    return_offsets_mapping=True,
                    return_tensors="pt",
                )
                offsets = batch.pop("offset_mapping").numpy()
                states = self.model(**batch.to(self.device)).last_hidden_state.float().cpu().numpy()
                for row, i in enumerate(chosen):
                    count = int(batch["attention_mask"][row].sum())
                    ids = batch["input_ids"][row, :count].cpu().numpy().astype(np.int32)
                    tokens = self.tokenizer.convert_ids_to_tokens(ids.tolist())
                    truncated = lengths[i] > self.longest
                    vectors[i] = TokenVectors(states[row, :count], ids, tokens, offsets[row, :count], truncated)
        return [vectors[i] for i in range(len(texts))]

    def digest(self) -> str:
        """sha256 over names, shapes and bytes of all parameters, in hexadecimal."""
        total = hashlib.sha256()
        for name, value in sorted(self.model.state_dict().items()):
            total.update(f"{name}{tuple(value.shape)}".encode())
            total.update(value.detach().cpu().contiguous().numpy().tobytes())
        return total.hexdigest()
