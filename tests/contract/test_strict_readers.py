"""Files of others are read by one reader per kind: pictures by ``io.pictures``, JSON by
``core.strict_json``."""

from __future__ import annotations

import ast
from pathlib import Path

import maskcast

PACKAGE = Path(maskcast.__file__).parent
READERS = {"Image.open": "io/pictures.py", "json.loads": "core/strict_json.py"}
OWN = {
    ("data/synthetic/stage.py", "Image.open"): "a picture that it has just compressed",
    ("evaluation/published.py", "json.loads"): "a file of the package",
    ("web/opening.py", "json.loads"): "an answer that it has just made",
    ("training/run_folder.py", "json.loads"): "a config that it has just written",
}
"""Calls on content that the package itself made, and what it is."""


def calls_of(path: Path) -> set[str]:
    """The calls of ``READERS`` in a module."""
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return {text for node in calls if (text := ast.unparse(node.func)) in READERS}


def test_files_of_others_are_read_by_the_strict_readers_only():
    found = {
        (module, call)
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "onnx_runtime"  # a program that imports nothing of the package
        for module in [path.relative_to(PACKAGE).as_posix()]
        for call in calls_of(path)
        if READERS[call] != module
    }
    assert found == OWN.keys()
