"""A model folder holds all that is needed, refuses features of another making by name, and notices damage."""

import json
import sys
from dataclasses import replace

import h5py
import pytest
import yaml
from huggingface_hub import ModelCard

from models.system import MODALITIES
from pipeline import pack
from pipeline.base.command import UserError
from pipeline.runs.model_folder import (
    DESCRIPTION,
    STATISTICS,
    check_features,
    other_versions,
    read_model,
    read_statistics,
    read_weights,
)
from tests.pipeline.packed import SETTINGS, describe, write_corpus
from tests.pipeline.test_train import write_dataset


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("模型 a"))


def run_pack(runs, output, *options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(part) for part in ("pack", runs, "--output", output, *options)])
        pack.main()
    return output


@pytest.fixture
def folder(corpus, tmp_path):
    return run_pack(corpus, tmp_path / "a model.model")


def test_the_folder_is_complete_and_holds_no_code(corpus, folder):
    names = {path.name for path in folder.iterdir()}
    assert names == {"README.md", DESCRIPTION, STATISTICS, "seed_1.safetensors", "seed_12.safetensors"}
    model = read_model(folder)
    assert (model.name, model.system, model.seeds, model.corpus) == ("constant", "constant", [1, 12], "test corpus")
    assert model.label_range == (-1, 1) and model.pooling["vision"] == 5 and model.encoder == ("an encoder", "abc")
    assert {name: made.settings for name, made in model.features.items()} == SETTINGS
    assert [float(read_weights(folder, seed)["median"]) for seed in model.seeds] == [0.01, 0.12]
    with h5py.File(corpus.parent.parent / "dataset.h5") as file:
        for modality, parts in read_statistics(folder).items():
            assert all((file[modality][name][:] == part).all() for name, part in zip(("mean", "std"), parts, strict=True))
            assert model.longest[modality] == (file[modality]["offsets"][1:] - file[modality]["offsets"][:-1]).max()


def test_the_card_is_one_of_the_hub(folder):
    card = ModelCard.load(folder / "README.md")
    found = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert found["mae"] == pytest.approx(0.465) and "corr" not in found
    assert "sha256 `abc`" in card.text and "MAE | 0.4650 ± 0.0778" in card.text


def test_some_seeds_alone(corpus, tmp_path):
    assert read_model(run_pack(corpus, tmp_path / "m", "--seeds", 12)).seeds == [12]
    with pytest.raises(UserError, match="no trained seed in it"):
        run_pack(corpus.parent, tmp_path / "m")


def test_every_setting_that_differs_is_refused_by_name(folder):
    model = read_model(folder)
    for modality in MODALITIES:
        made = model.features[modality]
        check_features(model, modality, made, "v")
        columns = [*made.columns[:-1], "another"]
        others = {"extractor": replace(made, extractor="x"), f"column {len(columns) - 1}": replace(made, columns=columns)}
        others["number of columns"] = replace(made, columns=made.columns[1:])
        others |= {f"setting {name}": replace(made, settings={**made.settings, name: "other"}) for name in made.settings}
        others |= {f"sha256 of weights {name}": replace(made, weights={name: "other"}) for name in made.weights}
        if made.frame_rate:
            others["frame_rate"] = replace(made, frame_rate=25.0)
        for name, other in others.items():
            with pytest.raises(UserError, match=rf"^v: {modality} features with {name} .*trained with .*extract them with"):
                check_features(model, modality, other, "v")
        assert other_versions(model, modality, made) == []
        assert other_versions(model, modality, replace(made, versions={"numpy": "2"})) != []


def test_a_model_of_a_published_feature_file_takes_no_others(corpus, tmp_path):
    plain = write_dataset(tmp_path / "plain.h5")
    model = read_model(run_pack(corpus, tmp_path / "m", "--dataset", plain))
    with pytest.raises(UserError, match="constant was trained on a published feature file"):
        check_features(model, "audio", None, "v")


def test_damage_is_noticed(folder):
    whole = (folder / DESCRIPTION).read_text(encoding="utf-8")

    def refused(match, **changes):
        (folder / DESCRIPTION).write_text(json.dumps(json.loads(whole) | changes))
        with pytest.raises(UserError, match=match):
            read_model(folder)

    refused("system 'os.system' is unknown here", system="os.system")
    refused("another format", format=99)
    refused("cannot be read", surprise=1)
    refused("cannot be read", seeds=["../x"])
    refused("lacks seeds", seeds=[])
    (folder / DESCRIPTION).write_text(whole, encoding="utf-8")
    (folder / "seed_1.safetensors").write_bytes(b"other")
    with pytest.raises(UserError, match="seed_1.safetensors is missing or not the one"):
        read_model(folder)
    (folder / DESCRIPTION).unlink()
    with pytest.raises(UserError, match="it has no model.json"):
        read_model(folder)


def test_seeds_that_differ_and_other_clips_are_refused(corpus, tmp_path):
    other = describe(write_dataset(tmp_path / "other.h5"))
    with h5py.File(other, "r+") as file:
        file["clips/clip_id"][0] = "9"
    with pytest.raises(UserError, match="trained on other clips than those of .*other.h5"):
        run_pack(corpus, tmp_path / "m", "--dataset", other)
    config = corpus / "12" / "config.yaml"
    before = config.read_text()
    config.write_text(yaml.safe_dump(yaml.safe_load(before) | {"system": "svm"}))
    with pytest.raises(UserError, match="seed 12 was trained with another system than seed 1"):
        run_pack(corpus, tmp_path / "m")
    config.write_text(before)
