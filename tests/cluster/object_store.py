"""The workflow with all its files in an object store: the same bytes as in a folder.

    python -m tests.cluster.object_store

A server of S3 is started on this machine. The raw video lies in a folder; all that is made of it goes into the bucket, and
every job fetches what it needs from there.
"""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

from tests.cluster.pair import CODE, RESULTS, edit, make_pair, nothing_again, one_run_again, run, same_bytes
from tests.faults.kill import ROOMS, TARGETS

BUCKET = "corpus"


@contextlib.contextmanager
def bucket() -> Iterator[tuple[object, list[str]]]:
    """An empty bucket, and the options that lead Snakemake to it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    os.environ |= {"SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "any", "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "any"}
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address, region = "http://{}:{}".format(*server.get_host_and_port()), "us-east-1"
    store = boto3.client("s3", endpoint_url=address, region_name=region, aws_access_key_id="any", aws_secret_access_key="any")
    store.create_bucket(Bucket=BUCKET)
    options = ["--default-storage-provider", "s3", "--default-storage-prefix", f"s3://{BUCKET}"]
    options += ["--storage-s3-endpoint-url", address, "--storage-s3-region", region]
    try:
        yield store, options
    finally:
        server.stop()


def upload(store, project: Path) -> None:
    for name in [*ROOMS, "tiny.csv", "tiny.yaml"]:
        place = project / name
        for file in place.rglob("*") if place.is_dir() else [place]:
            if file.is_file() and "__pycache__" not in file.parts:
                store.upload_file(str(file), BUCKET, str(file.relative_to(project)))


def download(store, folder: Path) -> None:
    for page in store.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for key in (item["Key"] for item in page["Contents"]):
            if key.startswith(RESULTS):
                (folder / key).parent.mkdir(parents=True, exist_ok=True)
                store.download_file(BUCKET, key, str(folder / key))


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary, bucket() as (store, options):
        here, there = make_pair(Path(temporary))
        upload(store, there)
        run(there, "--cores", "2", *options, "--", *TARGETS)
        fetched = Path(temporary) / "fetched"
        download(store, fetched)
        held = [same_bytes(here, fetched), nothing_again(there, "--cores", "2", *options)]
        edit(there)
        store.upload_file(str(there / CODE), BUCKET, CODE)
        held.append(one_run_again(there, "--cores", "2", *options))
    raise SystemExit(not all(held))


if __name__ == "__main__":
    main()
