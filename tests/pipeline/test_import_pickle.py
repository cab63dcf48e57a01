"""From a feature file in the field's format to dataset.h5: padding goes, values stay, faults are named."""

import pickle
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch

from pipeline.exchange.unpickle import UnsafePickleError
from pipeline.import_pickle import LABEL_KEYS, FeatureFileError, import_features, recognise
from pipeline.runs.data import read_dataset

COUNTS = {"train": 5, "valid": 3, "test": 2}
SHAPES = {"text": (6, 4), "audio": (9, 3), "vision": (7, 70)}


@pytest.fixture
def content():
    """An unaligned file as CH-SIMS has it: every clip of another length, zeros behind it."""
    random = np.random.default_rng(0)
    splits = {}
    for number, (mode, clips) in enumerate(COUNTS.items()):
        split = {"raw_text": np.array([f"我不想 {mode} {i}" for i in range(clips)], object)}
        split["id"] = np.array([f"video_{number:04d}$_${i:04d}" for i in range(clips)], object)
        split["annotations"] = ["Neutral"] * clips
        for modality, (steps, columns) in SHAPES.items():
            lengths = 2 + np.arange(clips) % (steps - 2)
            values = random.normal(3, 2, (clips, steps, columns)).astype(np.float32)
            values[np.arange(steps) >= lengths[:, None]] = 0
            split[modality] = values
            if modality == "text":
                mask = np.arange(steps) < lengths[:, None]
                split["text_bert"] = np.stack([random.integers(100, 200, mask.shape) * mask, mask, 0 * mask], axis=1)
            else:
                split[f"{modality}_lengths"] = lengths.tolist()
        for shift, key in enumerate(LABEL_KEYS):
            split[key] = ((np.arange(clips) + shift) % 5 / 2.5 - 0.8).astype(np.float32)
            split[key.replace("regression", "classification")] = np.sign(split[key])
        splits[mode] = split
    return splits


@pytest.fixture
def imported(tmp_path, capsys):
    """A function that writes a content as a pickle, imports it, and gives what was printed."""

    def run(content, label_range=(-1.0, 1.0), encoder=""):
        features = tmp_path / "特征 features.pkl"
        features.write_bytes(pickle.dumps(content, 4))
        import_features(features, "corpus", label_range, encoder, tmp_path / "dataset.h5")
        return capsys.readouterr().out

    return run


def clip_values(folder, modality):
    """Values of every clip, and the row of each clip in the file: [(mode, index within the split, values)]."""
    with h5py.File(folder / "dataset.h5") as file:
        offsets, values = file[f"{modality}/offsets"][:], file[f"{modality}/values"][:]
    places = [(mode, i) for mode, clips in COUNTS.items() for i in range(clips)]
    assert len(offsets) == len(places) + 1
    return [(*place, values[offsets[i] : offsets[i + 1]]) for i, place in enumerate(places)]


def test_the_padding_goes_and_the_values_stay(tmp_path, content, imported):
    printed = imported(content, encoder="bert-base-chinese")
    assert "unknown file" in printed and "10 clips (train 5, valid 3, test 2), 0 with flags, with token ids" in printed
    for modality, (steps, _) in SHAPES.items():
        for mode, i, values in clip_values(tmp_path, modality):
            length = 2 + i % (steps - 2)
            np.testing.assert_array_equal(values, content[mode][modality][i, :length])
    with h5py.File(tmp_path / "dataset.h5") as file:
        assert file["clips/video_id"].asstr()[:].tolist() == ["video_0000"] * 5 + ["video_0001"] * 3 + ["video_0002"] * 2
        assert file["clips/clip_id"].asstr()[5:8].tolist() == ["0000", "0001", "0002"]
        assert file["clips/mode"].asstr()[:].tolist() == [mode for mode, clips in COUNTS.items() for _ in range(clips)]
        assert file["clips/text"].asstr()[5] == "我不想 valid 0"
        expected = np.concatenate([np.stack([content[mode][key] for key in LABEL_KEYS], 1) for mode in COUNTS])
        np.testing.assert_array_equal(file["labels"][:], expected)
        tokens = [content[mode]["text_bert"][i, 0] for mode, clips in COUNTS.items() for i in range(clips)]
        np.testing.assert_array_equal(file["text/token_ids"][:], np.concatenate([row[row > 0] for row in tokens]))
        assert file["text/token_ids"].dtype == np.int32
        assert file.attrs["encoder"] == "bert-base-chinese" and file.attrs["corpus"] == "corpus"
        assert file.attrs["source"] == "特征 features.pkl" and len(file.attrs["source_sha256"]) == 64


def test_the_statistics_are_those_of_the_train_frames_and_training_can_read_it(tmp_path, content, imported):
    imported(content)
    with h5py.File(tmp_path / "dataset.h5") as file:
        for modality in SHAPES:
            frames = np.concatenate([values for mode, _, values in clip_values(tmp_path, modality) if mode == "train"])
            np.testing.assert_allclose(file[f"{modality}/mean"][:], frames.mean(0), rtol=1e-5)
            np.testing.assert_allclose(file[f"{modality}/std"][:], frames.std(0), rtol=1e-5)
    dataset = read_dataset(tmp_path / "dataset.h5", torch.device("cpu"))
    assert dataset.widths == {modality: columns for modality, (_, columns) in SHAPES.items()}
    assert dataset.label_range == (-1.0, 1.0)


def test_an_aligned_file_takes_the_lengths_of_the_text(tmp_path, content, imported):
    for split in content.values():
        for modality in ("audio", "vision"):
            split[modality] = np.ones((len(split["id"]), SHAPES["text"][0], SHAPES[modality][1]), np.float32)
        del split["audio_lengths"]
        split["vision_lengths"] = [400] * len(split["id"])  # of before the alignment
    imported(content)
    with h5py.File(tmp_path / "dataset.h5") as file:
        for modality in ("audio", "vision"):
            np.testing.assert_array_equal(file[f"{modality}/offsets"][:], file["text/offsets"][:])


def test_without_lengths_and_text_bert_the_last_step_that_is_not_zero_counts(tmp_path, content, imported):
    for split in content.values():
        del split["text_bert"], split["audio_lengths"], split["vision_lengths"]
        split["text"][0, 0] = 0  # a zero at the beginning is no padding
    assert "without token ids" in imported(content)
    for modality, (steps, _) in SHAPES.items():
        assert [len(values) for *_, values in clip_values(tmp_path, modality)] == [
            2 + i % (steps - 2) for clips in COUNTS.values() for i in range(clips)
        ]
    with h5py.File(tmp_path / "dataset.h5") as file:
        assert "token_ids" not in file["text"]


def pad_left(content, modality, lengths):
    """Each clip's values at the end of the steps."""
    for split in content.values():
        steps = SHAPES[modality][0]
        for i in range(len(split["id"])):
            shift = steps - lengths(i, steps)
            split[modality][i] = np.roll(split[modality][i], shift, axis=0)
            if modality == "text" and "text_bert" in split:
                split["text_bert"][i] = np.roll(split["text_bert"][i], shift, axis=1)


def length_of(i, steps):
    return 2 + i % (steps - 2)


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("tokens", [True, False])
def test_padding_before_the_clips_goes_too(tmp_path, content, imported, stated, tokens):
    """As in the files of MulT: the zeros stand at the beginning."""
    expected = {mode: {name: split[name].copy() for name in (*SHAPES, "text_bert")} for mode, split in content.items()}
    for modality in SHAPES:
        pad_left(content, modality, length_of)
    for split in content.values():
        if not stated:
            del split["audio_lengths"], split["vision_lengths"]
        if not tokens:
            del split["text_bert"]
    assert ", 0 with flags" in imported(content)
    for modality, (steps, _) in SHAPES.items():
        for mode, i, values in clip_values(tmp_path, modality):
            np.testing.assert_array_equal(values, expected[mode][modality][i, : length_of(i, steps)])
    with h5py.File(tmp_path / "dataset.h5") as file:
        assert [file[modality].attrs["padding"] for modality in SHAPES] == ["left"] * 3
        if tokens:
            ids = [expected[mode]["text_bert"][i, 0] for mode, clips in COUNTS.items() for i in range(clips)]
            np.testing.assert_array_equal(file["text/token_ids"][:], np.concatenate([row[row > 0] for row in ids]))


def test_each_modality_has_its_own_side_and_an_aligned_one_that_of_the_text(tmp_path, content, imported):
    pad_left(content, "text", length_of)
    for split in content.values():
        split["vision"] = np.ones((len(split["id"]), SHAPES["text"][0], 70), np.float32)
        split["vision_lengths"] = [400] * len(split["id"])
    imported(content)
    with h5py.File(tmp_path / "dataset.h5") as file:
        assert [file[modality].attrs["padding"] for modality in ("text", "audio")] == ["left", "right"]
        np.testing.assert_array_equal(file["vision/offsets"][:], file["text/offsets"][:])


def test_content_beyond_the_stated_length_is_flagged(tmp_path, content, imported):
    content["valid"]["audio_lengths"][1] -= 1
    imported(content)
    with h5py.File(tmp_path / "dataset.h5") as file:
        assert file["clips/flags"].asstr()[:].tolist() == ["audio_beyond_length" if i == 6 else "" for i in range(10)]
        assert "video_0001/0001: 1 audio frames with content lie beyond" in file["clips/message"].asstr()[6]


def test_characters_that_no_text_has(tmp_path, content, imported):
    content["train"]["raw_text"][2] = "好\0听"
    content["test"]["raw_text"][0] = "好\ud800听"
    imported(content)
    with h5py.File(tmp_path / "dataset.h5") as file:
        texts, flags = file["clips/text"].asstr()[:].tolist(), file["clips/flags"].asstr()[:].tolist()
        assert texts[2] == texts[8] == "好\ufffd听" and flags == ["odd_text" if i in (2, 8) else "" for i in range(10)]
        assert "video_0000/0002" in file["clips/message"].asstr()[2]


def test_labels_that_were_promised_must_be_there(tmp_path, content):
    del content["valid"]["regression_labels_A"]
    features = tmp_path / "f.pkl"
    features.write_bytes(pickle.dumps(content, 4))
    import_features(features, "corpus", (-1.0, 1.0), "", tmp_path / "dataset.h5", "MTV")
    with pytest.raises(
        FeatureFileError, match=r"split 'valid' has no regression_labels_A; name the labels .*`features_file: {t"
    ):
        import_features(features, "corpus", (-1.0, 1.0), "", tmp_path / "dataset.h5", "MTAV")


def test_mosi_has_no_unimodal_labels_and_other_types(tmp_path, content, imported):
    for split in content.values():
        for key in LABEL_KEYS[1:]:
            del split[key]
        split["regression_labels"] = (3 * split["regression_labels"].astype(np.float64))[:, None]
        split["id"] = [name.encode() for name in split["id"]]
        split["audio"] = split["audio"].astype(np.float64)
        split["raw_text"] = [text.encode() for text in split["raw_text"]]
    imported(content, label_range=(-3.0, 3.0))
    with h5py.File(tmp_path / "dataset.h5") as file:
        assert np.isnan(file["labels"][:, 1:]).all()
        np.testing.assert_allclose(file["labels"][:5, 0], [-2.4, -1.2, 0, 1.2, 2.4], atol=1e-6)
        assert file["audio/values"].dtype == np.float32 and file["clips/video_id"].asstr()[0] == "video_0000"
        assert file["clips/text"].asstr()[0] == "我不想 train 0"


def test_values_that_are_not_finite_and_empty_clips_are_replaced_and_flagged(tmp_path, content, imported):
    content["train"]["audio"][1, 0, 2] = -np.inf
    content["test"]["audio"][0, :2, 1] = np.nan
    content["valid"]["vision_lengths"][2] = 0
    content["test"]["vision"][1, -1] = np.inf  # in the padding
    imported(content)
    read_dataset(tmp_path / "dataset.h5", torch.device("cpu"))
    with h5py.File(tmp_path / "dataset.h5") as file:
        flags, messages = file["clips/flags"].asstr()[:].tolist(), file["clips/message"].asstr()[:].tolist()
        assert flags == ["", "audio_not_finite", "", "", "", "", "", "no_vision", "audio_not_finite", ""]
        assert "video_0002/0000: 2 of 2 audio frames" in messages[8]
        audio, audio_mean = clip_values(tmp_path, "audio"), file["audio/mean"][:]
        vision, vision_mean = clip_values(tmp_path, "vision"), file["vision/mean"][:]
    assert audio[1][2][0, 2] == audio_mean[2]
    np.testing.assert_array_equal(audio[8][2][:, 1], audio_mean[[1, 1]])
    np.testing.assert_array_equal(audio[8][2][:, 0], content["test"]["audio"][0, :2, 0])
    np.testing.assert_array_equal(vision[7][2], vision_mean[None])
    train = np.concatenate([values for mode, _, values in audio if mode == "train"])[:, :2]
    np.testing.assert_allclose(audio_mean[:2], train.mean(0), rtol=1e-5)


def drop(*path):
    def change(content):
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


def put(value, *path):
    def change(content):
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop("valid", "audio"), "split 'valid' has no key 'audio' .it has raw_text, id"),
        (drop("test", "regression_labels"), "split 'test' has no key 'regression_labels'"),
        (drop("test"), "no split 'test'"),
        (drop("train", "id"), "split 'train' has no key 'id'"),
        (put({}, "train_mix"), "unknown split 'train_mix'; the splits are train, valid, test"),
        (put([], "valid", "id"), "split 'valid' has no clip"),
        (put(np.zeros(4), "train", "regression_labels"), "split 'train', key 'regression_labels': 4 entries for 5 ids"),
        (put(np.zeros((4, 9, 3)), "train", "audio"), "split 'train', key 'audio': 4 entries for 5 ids"),
        (put(np.zeros((5, 27)), "train", "audio"), "split 'train', key 'audio': float64 of shape .5, 27.; give .* 3 dimension"),
        (put([[[1.0]], [[1.0], [2.0]], [[1.0]]], "valid", "audio"), "split 'valid', key 'audio': not numbers of one shape"),
        (put(["a", "b", "c"], "valid", "regression_labels_T"), "split 'valid', key 'regression_labels_T'"),
        (put(np.ones((3, 9, 5)), "valid", "audio"), "split 'valid', key 'audio': 5 columns, but split 'train' has 3"),
        (put(np.ones((3, 3, 5)), "valid", "text_bert"), "split 'valid', key 'text_bert': shape .3, 3, 5.* must be .3, 3, 6"),
        (put([2.0, 0.0, 0.0], "valid", "regression_labels_A"), r"'regression_labels_A': 2.0 of clip video_0001\$_\$0000 is o"),
        (put(["a", "b$_$c", "d$_$e"], "valid", "id"), "split 'valid', key 'id': 'a' is not"),
        (put(["a$_$1", "b\0$_$2", "c$_$3"], "valid", "id"), r"key 'id': 'b\\x00\$_\$2': it holds a char.*correct"),
        (put([1, 2, 3], "valid", "raw_text"), "split 'valid', key 'raw_text': not all entries are texts"),
        (put([2, -1, 2], "valid", "audio_lengths"), "split 'valid', key 'audio_lengths': a negative length"),
        (put(7, "valid", "text"), "split 'valid', key 'text': neither an array nor a list"),
        (put([], "train"), "not a dict of splits"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_split_and_key(tmp_path, content, imported, change, words):
    change(content)
    with pytest.raises(FeatureFileError, match=words):
        imported(content)
    assert not (tmp_path / "dataset.h5").exists()


def test_an_id_that_occurs_twice_is_flagged(tmp_path, content, imported):
    content["test"]["id"][0] = "video_0000$_$0001"
    imported(content)
    with h5py.File(tmp_path / "dataset.h5") as file:
        assert file["clips/flags"].asstr()[8] == "duplicate_id"


def test_a_hostile_file_is_refused(tmp_path, content, imported):
    content["train"]["extra"] = subprocess.run
    with pytest.raises(UnsafePickleError, match=r"'subprocess\.run'"):
        imported(content)
    assert not (tmp_path / "dataset.h5").exists()


def test_the_command_says_what_is_wrong_in_one_line(tmp_path, content):
    del content["valid"]["audio"]
    features = tmp_path / "f.pkl"
    features.write_bytes(pickle.dumps(content, 4))
    command = [sys.executable, "-m", "pipeline.import_pickle", "--features", features, "--corpus", "corpus"]
    command += ["--label-range", "-1", "1", "--output", tmp_path / "dataset.h5"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert f"error: {features}: split 'valid' has no key 'audio'" in done.stderr


def test_the_published_file_is_recognised_by_size_and_digest():
    assert recognise(1_228_189_774, "c9e20c13" + "0" * 56).startswith("matches the published CH-SIMS file")
    assert recognise(1_228_189_774, "c9e20c14" + "0" * 56) == recognise(5, "c9e20c13" + "0" * 56) == "unknown file"


def test_the_same_file_gives_the_same_bytes(tmp_path, content, imported):
    imported(content)
    first = (tmp_path / "dataset.h5").read_bytes()
    imported(content)
    assert (tmp_path / "dataset.h5").read_bytes() == first
