"""The search for values: which trials there are, how they are ranked, and that they may not look at the test split."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from models import SYSTEMS, load_system
from models.system import build_config
from pipeline import tune
from pipeline.base.command import UserError

ROOT = Path(__file__).parents[2]
SEARCHES = sorted((ROOT / "config" / "search").glob("*.yaml"))
SEARCH = {"hidden": [{"text": 1}, {"text": 2}], "rate": [0.1, 0.2, 0.3]}


def test_trials_are_all_combinations_once():
    trials = [tune.trial_values(SEARCH, i) for i in range(tune.grid_size(SEARCH))]
    assert trials[:4] == [
        {"hidden": {"text": 1}, "rate": 0.1},
        {"hidden": {"text": 1}, "rate": 0.2},
        {"hidden": {"text": 1}, "rate": 0.3},
        {"hidden": {"text": 2}, "rate": 0.1},
    ]
    assert len({json.dumps(values) for values in trials}) == len(trials) == 6
    with pytest.raises(ValueError, match="no trial 6: there are 6 combinations"):
        tune.trial_values(SEARCH, 6)


def test_more_random_trials_keep_those_there_were():
    search = {"a": list(range(10)), "b": list(range(10))}
    few, more = (tune.chosen_trials("tfn", search, "random", count) for count in (5, 20))
    assert set(few) < set(more) and len(set(more)) == 20 and more == sorted(more)
    assert tune.chosen_trials("tfn", search, "random", 20) == more != tune.chosen_trials("lmf", search, "random", 20)
    assert tune.chosen_trials("tfn", search, "random", 1000) == tune.chosen_trials("tfn", search, "grid", 1) == list(range(100))


def write_trial(folder, trial, seed, losses, best, test=None):
    path = folder / str(trial) / str(seed)
    path.mkdir(parents=True)
    pd.DataFrame({"epoch": range(1, len(losses) + 1), "valid_loss": losses}).to_csv(path / "history.csv", index=False)
    (path / "metrics.json").write_text(json.dumps({"best_epoch": best, "valid": {"M": {"mae": 0.4}}, "test": test or {}}))


def rank(monkeypatch, folder, trials, seeds=(1, 12)):
    (folder / "tfn.yaml").write_text(yaml.safe_dump(SEARCH))
    arguments = ["tune", "--search", folder / "tfn.yaml", "--folder", folder / "trials", "--trials", *trials]
    arguments += ["--seeds", *seeds, "--corpus", "a corpus", "--output", folder / "best.yaml", "--ranking", folder / "r.csv"]
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
    tune.main()
    return yaml.safe_load((folder / "best.yaml").read_text()), pd.read_csv(folder / "r.csv")


def test_the_smallest_mean_validation_loss_wins(monkeypatch, tmp_path):
    for trial, losses in {0: (0.30, 0.50), 4: (0.38, 0.38), 5: (0.45, 0.45)}.items():
        for seed, loss in zip((1, 12), losses, strict=True):
            write_trial(tmp_path / "trials", trial, seed, [0.9, loss, 0.95], best=2)
    best, ranking = rank(monkeypatch, tmp_path, [0, 4, 5])
    assert best["trial"] == 4 and best["values"] == {"hidden": {"text": 2}, "rate": 0.2}
    assert best["valid_loss"] == 0.38 and best["corpus"] == "a corpus" and best["seeds"] == [1, 12]
    assert ranking["trial"].tolist() == [4, 0, 5] and ranking["rank"].tolist() == [1, 2, 3]
    assert ranking["valid_loss_mean"].tolist() == pytest.approx([0.38, 0.40, 0.45])
    assert json.loads(ranking.loc[0, "hidden"]) == {"text": 2} and (ranking["corpus"] == "a corpus").all()


def test_a_trial_that_was_tested_is_refused(monkeypatch, tmp_path):
    write_trial(tmp_path / "trials", 0, 1, [0.3], best=1, test={"M": {"mae": 0.3}})
    with pytest.raises(UserError, match="trials/0 was scored on the test split"):
        rank(monkeypatch, tmp_path, [0], [1])


@pytest.mark.parametrize(
    ("text", "message"), [("", "give one or more keys"), ("a: 3", "'a' needs a list"), ("a: []", "'a' needs")]
)
def test_a_faulty_search_file_is_named(tmp_path, text, message):
    (tmp_path / "tfn.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"tfn.yaml: .*{message}"):
        tune.read_search(tmp_path / "tfn.yaml")


@pytest.mark.parametrize("path", SEARCHES, ids=lambda path: path.stem)
def test_every_combination_is_a_valid_configuration_with_the_same_loss(path):
    search = tune.read_search(path)
    own = yaml.safe_load((ROOT / f"config/models/{path.stem}.yaml").read_text(encoding="utf-8"))
    config_class = load_system(path.stem).config_class
    for trial in range(tune.grid_size(search)):
        build_config(config_class, own | tune.trial_values(search, trial))
    assert "task_weights" not in search  # losses with other weights cannot be ranked together


def test_the_systems_of_table_2_have_a_search():
    table = yaml.safe_load((ROOT / "config/tables/sims_table2.yaml").read_text(encoding="utf-8"))
    assert {row["run"] for row in table["rows"]} <= {path.stem for path in SEARCHES} <= set(SYSTEMS)
