"""Every promise in docs/promises.md names a document and a test that are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "promises.md"
ROWS = re.findall(
    r"^\| (.+?) \| \[.+?\]\((.+?)\) \| `(.+?)::(.+?)` \|$", PAGE.read_text("utf-8"), re.MULTILINE
)


@cache
def names_in(module: str) -> frozenset[str]:
    tree = ast.parse((TESTS / module).read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_every_row_is_one_of_promises():
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    assert len(rows) == len(ROWS) + 1 > 50  # one is the heading
    assert len({promise for promise, *_ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("promise", "document", "module", "test"), ROWS)
def test_a_promise_has_its_document_and_its_test(promise, document, module, test):
    assert (PAGE.parent / document).is_file(), promise
    assert test in names_in(module), promise
