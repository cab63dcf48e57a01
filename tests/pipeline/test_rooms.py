"""The rooms of pipeline/: steps at the top use the rooms, never the reverse; no two modules import each other in a circle."""

import ast
from pathlib import Path

PIPELINE = Path(__file__).parents[2] / "pipeline"
# A room may import those before it.
ORDER = ["base", "sources", "exchange", "runs", "results", "pages", ""]
FILES = {f"pipeline.{'.'.join(path.relative_to(PIPELINE).with_suffix('').parts)}": path for path in PIPELINE.rglob("*.py")}


def imports_of(path):
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(FILES)


def room_of(module):
    return module.split(".")[1] if module.count(".") == 2 else ""


def test_arrows_point_downwards():
    for module, path in FILES.items():
        for other in imports_of(path):
            assert ORDER.index(room_of(other)) <= ORDER.index(room_of(module)), f"{module} imports {other}"


def test_no_circles():
    left = {module: imports_of(path) for module, path in FILES.items()}
    while left:
        done = [module for module, needs in left.items() if not needs & set(left)]
        assert done, f"a circle among {sorted(left)}"
        for module in done:
            del left[module]


def test_models_and_features_import_no_step():
    for room in ("models", "features"):
        for path in (PIPELINE.parent / room).rglob("*.py"):
            assert not imports_of(path), path
