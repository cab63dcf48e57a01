"""config/models and config/values hold the published values, line by line."""

import json
import os
from pathlib import Path

import pytest
import yaml

from models import load_system
from models.system import build_config
from tests.reference.make_numbers import NUMBERS
from tests.reference.published_values import CORPORA, SYSTEMS, published_values

CONFIG = Path(__file__).parents[2] / "config"
MMSA = os.environ.get("MMSA_FOLDER")


def values_on(corpus, system):
    """As the workflow puts them together."""
    values = yaml.safe_load((CONFIG / "models" / f"{system}.yaml").read_text(encoding="utf-8"))
    if corpus != "sims":
        values |= yaml.safe_load((CONFIG / "values" / f"{corpus}.yaml").read_text(encoding="utf-8")).get(system, {})
    return values


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("system", SYSTEMS)
def test_values_are_those_that_mmsa_lists(corpus, system):
    recorded = json.loads(NUMBERS.read_text(encoding="utf-8"))["values"][corpus][system]
    values = values_on(corpus, system)
    assert {key: values.get(key, 0.0) for key in recorded} == recorded


@pytest.mark.skipif(not MMSA, reason="MMSA_FOLDER does not name the unpacked wheel of MMSA 2.2.1")
def test_what_is_recorded_is_what_mmsa_lists():
    assert json.loads(NUMBERS.read_text(encoding="utf-8"))["values"] == published_values(Path(MMSA))


@pytest.mark.parametrize("corpus", CORPORA[1:])
def test_values_of_a_corpus_are_valid_and_differ(corpus):
    for system, own in yaml.safe_load((CONFIG / "values" / f"{corpus}.yaml").read_text(encoding="utf-8")).items():
        build_config(load_system(system).config_class, values_on(corpus, system))
        assert values_on(corpus, system) != values_on("sims", system), system
        assert own
