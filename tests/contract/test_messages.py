"""Messages of the library: they name parameters, and no flags or commands of the command line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import maskcast
from maskcast.cli.main import COMMANDS

PACKAGE = Path(maskcast.__file__).parent
LIBRARY = sorted(
    path.relative_to(PACKAGE)
    for path in PACKAGE.rglob("*.py")
    if path.relative_to(PACKAGE).parts[0] not in ("cli", "web")
)
FLAG = re.compile(r"(^|[\s(,;'\"`])--[a-z]")
COMMAND = re.compile(rf"\bmaskcast ({'|'.join(COMMANDS)})\b")
NO_MESSAGES = {
    "bench/metrics.py": "the command that is measured",
    "methods/onnx_runtime/program.py": "the flags of a program of its own",
    "evaluation/paper_charts.py": "a colour of the page",
    "evaluation/paper_commands.py": "the commands that fill the cells of a page",
    "evaluation/published.py": "the arguments that reproduce a published figure",
    "evaluation/published_table.py": "the marks around the table in docs/results.md",
    "training/run_folder.py": "arguments of git",
}
"""Files in which a string may look like a flag or a command, and what it is there."""


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the strings of a source file but for its docstrings, with their lines."""
    tree = ast.parse((PACKAGE / path).read_text("utf-8"))
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        is_string = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_string and id(node) not in documentation:
            yield node.lineno, node.value


def names_either(text: str) -> bool:
    """Whether a text names a flag or a command."""
    return bool(FLAG.search(text) or COMMAND.search(text))


def test_the_library_is_found():
    assert Path("core/errors.py") in LIBRARY
    assert len(LIBRARY) > 100


@pytest.mark.parametrize("path", LIBRARY, ids=str)
def test_no_message_names_a_flag_or_a_command(path):
    found = [(line, text) for line, text in strings(path) if names_either(text)]
    if path.as_posix() in NO_MESSAGES:
        assert found, "nothing looks like a flag any more; remove it from NO_MESSAGES"
    else:
        assert found == []


@pytest.mark.parametrize(
    "text",
    ["give --masks", "(--box)", "'--on-bad-frame hold'", "--jobs 2", "maskcast submit x"],
)
def test_flags_and_commands_are_recognised(text):
    assert names_either(text)


@pytest.mark.parametrize("text", ["a -- b", "<!--begin", "1--2", "maskcast was built", "--"])
def test_other_text_is_not(text):
    assert not names_either(text)
