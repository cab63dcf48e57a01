"""The config files obey the schema, and the schema refuses what it does not know."""

from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text())


CONFIGS = [path for path in sorted((ROOT / "config").glob("*.yaml")) if path.name != "variants.yaml"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_config_files_are_valid(path):
    jsonschema.validate(yaml.safe_load(path.read_text()), SCHEMA)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"sytems": {}}, "sytems"),
        ({"audio": {"f0": "zcr"}}, "f0"),
        ({"vision": {"coordinates": "pixels"}}, "pixels"),
        ({"seeds": []}, "non-empty|too short|\\[\\]"),
        ({"dataset": {"vision_pooling": 0}}, "0"),
    ],
)
def test_a_mistake_is_named(change, word):
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text()) | change
    with pytest.raises(jsonschema.ValidationError, match=word):
        jsonschema.validate(config, SCHEMA)
