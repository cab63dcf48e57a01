"""The three readers of files that come from anywhere, given any bytes: each returns, or raises UserError.

    python -m tests.fuzz.readers manifest -max_total_time=200

searches with atheris, guided by what the code does, from good files and the cases in `tests/fuzz/cases`; the options are
those of libFuzzer. What a reader does otherwise ends the search, and the file stays among the cases: mend the reader.
"""

import contextlib
import io
import pickle
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

CASES = Path(__file__).parent / "cases"
SECONDS, MEGABYTES = 20, 2048  # that one input may take

ROW = "v,1,{path},0.5,2,你好,0,0.1,,-1,train,"
HEAD = "video_id,clip_id,path,start,end,text,label,label_T,label_A,label_V,mode,draft"


def read_manifest(data: bytes, folder: Path) -> None:
    from pipeline.sources.manifest_table import read_manifest

    (folder / "m.csv").write_bytes(data)
    read_manifest(folder / "m.csv")
    read_manifest(folder / "m.csv", to_predict=True)


def read_pickle(data: bytes, folder: Path) -> None:
    from pipeline.import_pickle import import_features

    (folder / "features.pkl").write_bytes(data)
    import_features(folder / "features.pkl", "any", (-1.0, 1.0), "", folder / "dataset.h5")


def read_openface(data: bytes, folder: Path) -> None:
    from pipeline.openface_source import clip_features

    (folder / "clip.csv").write_bytes(data)
    clip_features(folder / "clip.csv", "v/1", 3.0)


READERS: dict[str, Callable[[bytes, Path], None]] = {
    "manifest": read_manifest,
    "pickle": read_pickle,
    "openface": read_openface,
}


def check(reader: str, data: bytes) -> bool:
    """Whether the bytes are taken; anything but that or a UserError is raised."""
    from pipeline.base.command import UserError

    with tempfile.TemporaryDirectory() as name:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                READERS[reader](data, Path(name))
        except UserError as error:
            assert len(str(error)) > 20, error
            return False
    return True


def good_files() -> dict[str, list[bytes]]:
    """Files as they should be, small."""
    from features.openface import COLUMNS

    rng = np.random.default_rng(0)
    path = str(Path(__file__))
    manifest = "\n".join(
        [HEAD, ROW.format(path=path), ROW.format(path=path).replace(",1,", ",2,").replace("train", "test"), ""]
    )
    header = ["frame", "face_id", "timestamp", "confidence", "success", *COLUMNS]
    rows = [[i + 1, 0, round(i / 30, 3), 0.98, 1, *np.round(rng.random(len(COLUMNS)), 2)] for i in range(90)]
    table = "\n".join([", ".join(header), *(", ".join(map(str, row)) for row in rows), ""])

    def split(clips: int) -> dict:
        return {
            "id": [f"v$_${i}" for i in range(clips)], "raw_text": np.array(["hi"] * clips),
            "text": rng.random((clips, 4, 3), np.float32), "audio": rng.random((clips, 5, 2), np.float32),
            "vision": rng.random((clips, 6, 2), np.float32), "text_bert": np.ones((clips, 3, 4)),
            "audio_lengths": [5] * clips, "vision_lengths": [6] * clips,
            "regression_labels": np.zeros(clips, np.float32),
        }  # fmt: skip

    features = {"train": split(3), "valid": split(2), "test": split(2)}
    pickles = [pickle.dumps(features, protocol) for protocol in (0, 2, 5)]
    return {
        "manifest": [manifest.encode(), manifest.encode("utf-8-sig"), manifest.encode("utf-16"), manifest.encode("gbk")],
        "pickle": pickles,
        "openface": [table.encode(), table.replace(", ", ",").encode()],
    }


def main() -> None:
    import atheris

    reader = sys.argv.pop(1)
    modules = {"manifest": "pipeline.sources", "pickle": "pipeline.exchange", "openface": "pipeline.openface_source"}
    with atheris.instrument_imports(include=[modules[reader]]):
        from pipeline import import_pickle, openface_source  # noqa: F401
        from pipeline.sources import manifest_table  # noqa: F401
    (CASES / reader).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(good_files()[reader]):
            (Path(corpus) / f"good_{number}").write_bytes(data)
        options = [f"-timeout={SECONDS}", f"-rss_limit_mb={MEGABYTES}", f"-artifact_prefix={CASES / reader}/"]
        atheris.Setup(
            [sys.argv[0], corpus, str(CASES / reader), *options, *sys.argv[1:]], lambda data: check(reader, data) and 0
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
