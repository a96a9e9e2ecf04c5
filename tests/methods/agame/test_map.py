"""The map from the paper's symbols to names cannot go stale."""

from __future__ import annotations

import importlib
from functools import reduce
from pathlib import Path

import pytest

from maskcast.methods import agame

FOLDER = Path(agame.__file__).parent


def rows() -> list[list[str]]:
    lines = (FOLDER / "README.md").read_text("utf-8").splitlines()
    table = [line for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_every_name_of_the_map_exists_and_carries_its_tag(row: list[str]) -> None:
    _, code, file, tag = row
    name, path = code.strip("`"), (FOLDER / file.strip("`")).resolve()
    package = path.relative_to(FOLDER.parents[2]).with_suffix("")
    module = importlib.import_module(".".join(package.parts))
    found = reduce(getattr, name.split("."), module)
    text = module.__doc__ if name == "NAMES" else found.__doc__
    assert tag in (text or ""), f"{name} does not mention {tag!r}"


def test_every_section_with_formulas_is_on_the_map() -> None:
    tags = {row[3] for row in rows()}
    assert {f"spec 5.{part}" for part in range(1, 6)} <= tags
    assert {f"spec {section}" for section in (2, 3, 4, 6, 7, 8, 9, 11, 15)} <= tags
