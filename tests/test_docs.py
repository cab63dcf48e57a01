"""The documentation says what the code does."""

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from models import SYSTEMS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def code():
    """All that the program can say, with the joints between its pieces of text taken out."""
    files = [path for room in ("pipeline", "features", "models", "workflow") for path in sorted((ROOT / room).rglob("*.*"))]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files if path.suffix in (".py", ".smk", ".yaml", ".js"))
    return re.sub(r'"\s*\n\s*f?"', "", text)


def test_quoted_messages_are_those_of_the_program():
    said = code()
    quoted = re.findall(r"^\| (`.+?) \|", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)
    messages = [message for cell in quoted for message in re.findall("`([^`]+)`", cell)]
    assert len(messages) > 25
    for message in messages:
        assert message in said, message


def test_the_systems_page_has_every_system():
    pytest.importorskip("mkdocs", reason="requirements-docs.txt is not installed")
    specification = importlib.util.spec_from_file_location("hooks", DOCS / "hooks.py")
    hooks = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(hooks)
    page = hooks.systems_page()
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == list(SYSTEMS)
    for name in SYSTEMS:
        for line in (ROOT / "config" / "models" / f"{name}.yaml").read_text(encoding="utf-8").splitlines():
            assert line in page


def test_every_page_is_in_the_navigation_and_every_link_of_the_readme_leads_somewhere():
    class Loader(yaml.SafeLoader):
        pass

    navigation = str(yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)["nav"])
    for page in DOCS.glob("*.md"):
        assert f"'{page.name}'" in navigation, page.name
    for target in re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert target.startswith("http") or (ROOT / target).exists(), target
