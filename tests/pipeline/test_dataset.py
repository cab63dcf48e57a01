"""The data set: ragged, in manifest order, statistics of the train split alone."""

import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest

from pipeline.base.store import ClipFeatures, StoreAttributes, attributes_of, read_store, write_store
from pipeline.sources.manifest_table import COLUMNS

WIDTHS = {"text": 3, "audio": 2, "vision": 4}


@pytest.fixture
def corpus(tmp_path):
    """Two videos whose clips are interleaved in the manifest; one clip has no face, one frame is undefined."""
    random = np.random.default_rng(0)
    rows = [("b", "0002", "train"), ("a", "0001", "valid"), ("b", "0001", "train"), ("a", "0002", "test")]
    manifest = pd.DataFrame(
        [
            {"video_id": video, "clip_id": clip, "path": "x.mp4", "text": "好", "label": 0.2, "label_T": -0.2, "mode": mode}
            for video, clip, mode in rows
        ],
        columns=COLUMNS,
    )
    manifest.to_csv(tmp_path / "manifest.csv", index=False)
    clips = {}
    for video in "ab":
        folder = tmp_path / "clips" / video
        folder.mkdir(parents=True)
        (folder / "clips.csv").write_text("clip_id,video,audio,flags,message\n0001,,,,\n0002,,,no_video,m\n")
        for modality, width in WIDTHS.items():
            for clip_id in ("0001", "0002"):
                clip = ClipFeatures(random.normal(3, 2, (random.integers(5, 12), width)))
                if modality == "text":
                    clip.extras["token_ids"] = random.integers(0, 900, len(clip.values)).astype(np.int32)
                clips[modality, video, clip_id] = clip
    clips["vision", "a", "0002"] = ClipFeatures(np.zeros((0, 4)), flags=["no_face"], message="a/0002: no face")
    clips["vision", "b", "0001"].values[0] = np.nan
    for modality, width in WIDTHS.items():
        settings = {"encoder": "an encoder"} if modality == "text" else {}
        attributes = StoreAttributes([f"c{i}" for i in range(width)], ["1"] * width, 30.0, "test", settings)
        for video in "ab":
            named = [(clip_id, clips[modality, video, clip_id]) for clip_id in ("0001", "0002")]
            write_store(tmp_path / "features" / modality / f"{video}.h5", named, attributes)
    return tmp_path, rows, clips


def build(folder, pooling=1):
    command = [sys.executable, "-m", "pipeline.dataset", "--manifest", folder / "manifest.csv", "--clips", folder / "clips"]
    command += ["--features", folder / "features", "--corpus", "c", "--vision-pooling", str(pooling)]
    command += ["--output", folder / "dataset.h5"]
    return subprocess.run(command, capture_output=True, text=True)


def test_rows_offsets_and_values(corpus):
    folder, rows, clips = corpus
    assert build(folder).returncode == 0
    with h5py.File(folder / "dataset.h5") as file:
        assert list(zip(file["clips/video_id"].asstr(), file["clips/clip_id"].asstr(), strict=True)) == [r[:2] for r in rows]
        assert file["clips/flags"].asstr()[:].tolist() == ["no_video", "", "", "no_video;no_face"]
        assert file["clips/message"].asstr()[:].tolist() == ["m", "", "", "m a/0002: no face"]
        np.testing.assert_allclose(file["labels"][:], [[0.2, -0.2, np.nan, np.nan]] * 4)
        for modality in WIDTHS:
            offsets, values, mean = (file[f"{modality}/{name}"][:] for name in ("offsets", "values", "mean"))
            for i, (video, clip_id, _) in enumerate(rows):
                expected = clips[modality, video, clip_id].values
                expected = np.where(np.isnan(expected), mean, expected) if len(expected) else mean[None]
                np.testing.assert_allclose(values[offsets[i] : offsets[i + 1]], expected, rtol=1e-6)


def test_token_ids_stand_beside_the_text_vectors(corpus):
    folder, rows, clips = corpus
    build(folder)
    with h5py.File(folder / "dataset.h5") as file:
        expected = np.concatenate([clips["text", video, clip_id].extras["token_ids"] for video, clip_id, _ in rows])
        assert file["text/token_ids"][:].tolist() == expected.tolist() and file.attrs["encoder"] == "an encoder"


def test_statistics_are_those_of_the_train_split(corpus):
    folder, _, clips = corpus
    build(folder)
    with h5py.File(folder / "dataset.h5") as file:
        for modality in WIDTHS:
            frames = np.concatenate([clips[modality, "b", clip_id].values for clip_id in ("0002", "0001")])
            np.testing.assert_allclose(file[f"{modality}/mean"][:], np.nanmean(frames, 0), rtol=1e-5)
            np.testing.assert_allclose(file[f"{modality}/std"][:], np.nanstd(frames, 0), rtol=1e-5)


def test_pooling_shortens_vision_alone(corpus):
    folder, rows, clips = corpus
    build(folder, pooling=5)
    with h5py.File(folder / "dataset.h5") as file:
        lengths = {modality: np.diff(file[f"{modality}/offsets"][:]) for modality in WIDTHS}
    for i, (video, clip_id, _) in enumerate(rows):
        frames = len(clips["vision", video, clip_id].values)
        assert lengths["vision"][i] == max(1, -(-frames // 5))
        assert lengths["audio"][i] == len(clips["audio", video, clip_id].values)


def test_a_clip_missing_in_a_feature_file_is_an_error(corpus):
    folder, *_ = corpus
    table = pd.read_csv(folder / "manifest.csv", dtype=str)
    pd.concat([table, table.iloc[:1].assign(clip_id="0009")]).to_csv(folder / "manifest.csv", index=False)
    (folder / "clips" / "b" / "clips.csv").write_text("clip_id,video,audio,flags,message\n0001,,,,\n0002,,,,\n0009,,,,\n")
    done = build(folder)
    assert done.returncode != 0 and "b.h5 lacks clip 0009" in done.stderr and not (folder / "dataset.h5").exists()


def test_it_says_how_its_features_were_made(corpus):
    folder, *_ = corpus
    build(folder, pooling=5)
    with h5py.File(folder / "dataset.h5") as file:
        for modality in WIDTHS:
            made = read_store(folder / "features" / modality / "a.h5").attributes
            assert attributes_of(file[modality]) == made
            assert file[modality].attrs["pooling"] == (5 if modality == "vision" else 1)


@pytest.mark.parametrize("name", ["settings", "weights", "extractor"])
def test_videos_of_different_settings_are_an_error(corpus, name):
    folder, *_ = corpus
    with h5py.File(folder / "features" / "audio" / "a.h5", "r+") as file:
        file.attrs[name] = '{"first": "zcr"}'
    done = build(folder)
    assert done.returncode != 0 and f"other {name} than the other videos" in done.stderr


def test_videos_of_different_frame_rates_are_an_error(corpus):
    folder, *_ = corpus
    with h5py.File(folder / "features" / "vision" / "a.h5", "r+") as file:
        file.attrs["frame_rate"] = 25.0
    done = build(folder)
    assert done.returncode != 0 and "25 and of 30 frames/s" in done.stderr


def test_without_a_train_clip_there_are_no_statistics(corpus):
    folder, *_ = corpus
    table = pd.read_csv(folder / "manifest.csv", dtype=str)
    table.assign(mode="test").to_csv(folder / "manifest.csv", index=False)
    done = build(folder)
    assert done.returncode != 0 and "no clip with mode 'train'" in done.stderr
