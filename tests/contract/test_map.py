"""The map in each method's README.md, from the paper's symbols to names, stays true."""

from __future__ import annotations

import importlib
import re
from operator import attrgetter
from pathlib import Path

import pytest

from contract.parts import PARTS
from maskcast import methods
from maskcast.methods.catalogue import METHODS

FOLDER = Path(methods.__file__).parent
SOURCE = FOLDER.parent.parent
HEADER = "| paper | code | file | tag |"


def rows(method: str) -> list[list[str]]:
    """Return the cells of each row of the map."""
    text = (FOLDER / method / "README.md").read_text("utf-8")
    table = text[text.index(HEADER) :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


ROWS = [(method, row) for method in METHODS for row in rows(method)]


@pytest.mark.parametrize(("method", "row"), ROWS, ids=[f"{m} {row[0]}" for m, row in ROWS])
def test_every_name_of_the_map_exists_and_carries_its_tag(method: str, row: list[str]) -> None:
    _, code, file, tag = row
    name, path = code.split("`")[1], (FOLDER / method / file.strip("`")).resolve()
    module = importlib.import_module(".".join(path.relative_to(SOURCE).with_suffix("").parts))
    found = attrgetter(name)(module)
    # what is no class or function has no docstring of its own: its module says the tag
    documentation = found.__doc__ if callable(found) else module.__doc__
    assert tag in (documentation or ""), f"{name} does not mention {tag!r}"


@pytest.mark.parametrize("method", METHODS)
def test_every_equation_is_on_the_map(method: str) -> None:
    assert {row[3] for row in rows(method)} >= PARTS[method].TAGS


@pytest.mark.parametrize("method", METHODS)
def test_every_tag_leads_to_a_row_of_the_map(method: str) -> None:
    sources = "".join(path.read_text("utf-8") for path in (FOLDER / method).rglob("*.py"))
    assert not re.search(r"\bspec \d", sources)  # of a document that is not part of the repository
    used = {tag for tags in re.findall(r"\(map: ([^)]+)\)", sources) for tag in tags.split(", ")}
    assert used <= {row[3].removeprefix("map: ") for row in rows(method)}
