"""The feature store gives back what was put in, in order, and the same bytes each time."""

import numpy as np
import pytest

from pipeline.base.store import ClipFeatures, StoreAttributes, add_clip, new_store, read_store, versions_of, write_store

ATTRIBUTES = StoreAttributes(["a", "b"], ["Hz", "1"], 30.0, "test", {"k": [1, 2]}, versions_of("h5py"), {"m": "00"})


def clips():
    values = np.array([[1, np.nan], [3, 4], [5, 6]], np.float32)
    yield "0002", ClipFeatures(values, {"tokens": ["[CLS]", "你", "b"], "success": np.array([True, False, True])})
    yield "0001", ClipFeatures(np.zeros((0, 2)), {}, ["no_face"], "v/0001: no face; 换一个视频")


def test_round_trip(tmp_path):
    path = tmp_path / "新 文件夹" / "v.h5"
    write_store(path, clips(), ATTRIBUTES)
    store = read_store(path)
    assert store.attributes == ATTRIBUTES
    assert list(store.clips) == ["0002", "0001"]
    first, second = store.clips.values()
    np.testing.assert_array_equal(first.values, next(clips())[1].values)
    assert list(first.extras["tokens"]) == ["[CLS]", "你", "b"] and first.extras["success"].tolist() == [True, False, True]
    assert second.values.shape == (0, 2) and second.flags == ["no_face"] and "换一个视频" in second.message


def test_same_bytes(tmp_path):
    for folder in ("a", "b"):
        write_store(tmp_path / folder / "v.h5", clips(), ATTRIBUTES)
    assert (tmp_path / "a" / "v.h5").read_bytes() == (tmp_path / "b" / "v.h5").read_bytes()


def test_709_columns_fit(tmp_path):
    names = [f"column_name_{i}" for i in range(709)]
    attributes = StoreAttributes(names, ["mm"] * 709, 30.0, "x")
    write_store(tmp_path / "wide.h5", [("1", ClipFeatures(np.zeros((2, 709))))], attributes)
    assert read_store(tmp_path / "wide.h5").attributes.columns == names


def test_wrong_width_is_an_error_and_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="clip 7 has features of shape"):
        write_store(tmp_path / "v.h5", [("7", ClipFeatures(np.zeros((3, 5))))], ATTRIBUTES)
    assert list(tmp_path.iterdir()) == []


def test_a_store_can_be_changed_until_it_is_closed(tmp_path):
    path = tmp_path / "store.h5"
    with new_store(path, StoreAttributes(["a", "b"], ["", ""], 30.0, "test")) as file:
        add_clip(file, "7", ClipFeatures(np.zeros((3, 2))))
        file["7"]["values"][:, 1] = 5
        assert not path.exists()
    assert read_store(path).clips["7"].values.tolist() == [[0, 5]] * 3


def test_a_store_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), new_store(tmp_path / "store.h5", StoreAttributes(["a"], [""], 30.0, "test")) as file:
        add_clip(file, "7", ClipFeatures(np.zeros((3, 1))))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
