"""`python -m pipeline.vision_py_feat`: the weights it needs, what it says without them, and the store it writes."""

import inspect
import sys

import numpy as np
import pandas as pd
import pytest

from features.openface import COLUMNS
from pipeline import vision_py_feat
from pipeline.base.store import read_store
from pipeline.vision_py_feat import MULTITASK, WEIGHTS, located, main
from tests.features.test_py_feat import neutral_mesh, table_of_v2


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of weights, and a machine without a network."""
    monkeypatch.setattr(vision_py_feat, "cache", lambda: tmp_path / "权重 resources")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "权重 resources"


@pytest.fixture
def clips(tmp_path, make_video):
    folder = tmp_path / "v 1"
    make_video("v 1/0001.mp4", frames=40, size=(320, 240))
    make_video("v 1/0002.mp4", frames=3, size=(320, 240))
    (folder / "clips.csv").write_text(
        "clip_id,video,audio,flags,message\n0001,0001.mp4,,,\n0003,,,no_video,\n0002,0002.mp4,,,\n"
    )
    return folder


def run(monkeypatch, clips, output, *options):
    monkeypatch.setattr(sys, "argv", ["vision_py_feat", "--clips", str(clips), "--output", str(output), *options])
    main()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_without_weights_one_error_says_what_to_place_where(version, cache, clips, monkeypatch, tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        run(monkeypatch, clips, tmp_path / "out.h5", "--detector", version)
    message = str(error.value)
    for weights in WEIGHTS[version]:
        folder = cache / f"models--py-feat--{weights.repository}"
        assert f"{folder}/snapshots/main/{weights.name}" in message and f"{folder}/refs/main" in message
    assert "source: face_mesh" in message and not (tmp_path / "out.h5").exists()


def test_a_hub_that_does_not_answer_is_the_same_error(cache, clips, monkeypatch, tmp_path):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    with pytest.raises(FileNotFoundError, match="face_multitask_v28.safetensors"):
        run(monkeypatch, clips, tmp_path / "out.h5")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_files_placed_as_the_error_says_are_found_by_the_hub_too(version, cache, monkeypatch):
    from huggingface_hub import hf_hub_download

    for i, weights in enumerate(WEIGHTS[version]):
        folder = cache / f"models--py-feat--{weights.repository}"
        for file in (folder / "refs" / "main", folder / "snapshots" / "main" / weights.name):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("main")
        found = hf_hub_download(f"py-feat/{weights.repository}", weights.name, cache_dir=cache, local_files_only=True)
        assert str(located(weights)) == found
        assert all((located(other) is not None) == (other in WEIGHTS[version][: i + 1]) for other in WEIGHTS[version])


def test_the_weights_are_those_that_py_feat_loads():
    from feat import Detectorv1, Detectorv2
    from feat.face_detectors.Retinaface.Retinaface_test import Retinaface
    from feat.gaze_detectors.l2cs import load_l2cs_from_hf
    from feat.multitask import inference
    from feat.utils import face_pose_mlp

    assert (inference.HF_REPO, inference.HF_WEIGHTS_FILE) == (f"py-feat/{MULTITASK.repository}", MULTITASK.name)
    parts = {"v2": (Detectorv2, Retinaface, inference), "v1": (Detectorv1, Retinaface, load_l2cs_from_hf, face_pose_mlp)}
    for version, sources in parts.items():
        code = "".join(map(inspect.getsource, sources))
        for weights in WEIGHTS[version]:
            assert f'"py-feat/{weights.repository}"' in code and f'"{weights.name}"' in code
            assert weights.older_name in code


class RecordedDetector:
    """Gives a face on every frame but the last of a batch, as feat.Detectorv2 lays its output out."""

    def detect(self, images, *, data_type, batch_size, face_detection_threshold, progress_bar):
        assert data_type == "tensor" and images.shape[1:] == (3, 240, 320) and len(images) == batch_size
        assert face_detection_threshold == 0.6
        brightness = images.float().mean((1, 2, 3)).tolist()
        face = table_of_v2(neutral_mesh())
        nothing = pd.DataFrame([dict.fromkeys(face.columns, np.nan) | {"FaceScore": 0.0}])
        rows = [face.assign(AU12=grey / 255, frame=i) for i, grey in enumerate(brightness[:-1])]
        if len(images) == 3:  # somebody else looks in
            rows.insert(1, table_of_v2((neutral_mesh() - [160, 120]) / 3 + 40))
        return pd.concat([*rows, nothing.assign(frame=len(images) - 1)], ignore_index=True)


def test_the_store(cache, clips, monkeypatch, tmp_path):
    for weights in WEIGHTS["v2"]:
        folder = cache / f"models--py-feat--{weights.repository}"
        for file in (folder / "refs" / "main", folder / "snapshots" / "main" / weights.name):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("main")
    monkeypatch.setattr(vision_py_feat, "make_detector", lambda version: RecordedDetector())
    run(monkeypatch, clips, tmp_path / "out.h5", "--minimum-confidence", ".6")
    store = read_store(tmp_path / "out.h5")
    assert {clip_id: (len(clip.values), clip.flags) for clip_id, clip in store.clips.items()} == {
        "0001": (40, []),
        "0003": (0, ["no_video"]),
        "0002": (3, ["several_faces"]),
    }
    assert store.clips["0002"].extras["faces"].tolist() == [2, 1, 0] and "v 1/0002: up to 2" in store.clips["0002"].message
    clip = store.clips["0001"]
    assert np.flatnonzero(~clip.extras["success"]).tolist() == [15, 31, 39]  # the last of each batch of 16
    smile = clip.values[clip.extras["success"], COLUMNS.index("AU12_r")]
    assert (np.diff(smile) > 0).all(), "the frames are in order: they grow brighter"
    assert clip.extras["box"].shape == (40, 4) and clip.extras["transform"].shape == (40, 2, 3)
    assert store.attributes.extractor == "py-feat Detectorv2" and store.attributes.settings["coordinates"] == "frame"
    assert set(store.attributes.weights) == {
        "py-feat--retinaface_r34/model.safetensors",
        "py-feat--face_multitask_v2/face_multitask_v28.safetensors",
    }
    assert store.attributes.versions["py-feat"]


def test_an_error_inside_a_detector_flags_its_clip_and_the_others_go_on(cache, clips, monkeypatch, tmp_path):
    class Breaking(RecordedDetector):
        def detect(self, images, **options):
            if len(images) == 3:
                raise RuntimeError("no kernel")
            return super().detect(images, **options)

    for weights in WEIGHTS["v2"]:
        folder = cache / f"models--py-feat--{weights.repository}"
        for file in (folder / "refs" / "main", folder / "snapshots" / "main" / weights.name):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("main")
    monkeypatch.setattr(vision_py_feat, "make_detector", lambda version: Breaking())
    run(monkeypatch, clips, tmp_path / "out.h5", "--minimum-confidence", ".6")
    store = read_store(tmp_path / "out.h5").clips
    assert {clip_id: (len(clip.values), clip.flags) for clip_id, clip in store.items()} == {
        "0001": (40, []),
        "0003": (0, ["no_video"]),
        "0002": (0, ["failed"]),
    }
    assert "v 1/0002: 0002.mp4 could not be measured (RuntimeError: no kernel)" in store["0002"].message
