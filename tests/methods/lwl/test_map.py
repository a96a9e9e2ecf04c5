"""The map from the paper's symbols to names cannot go stale."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from maskcast.methods import lwl

FOLDER = Path(lwl.__file__).parent


def rows() -> list[list[str]]:
    lines = (FOLDER / "README.md").read_text("utf-8").splitlines()
    table = [line for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_every_name_of_the_map_exists_and_carries_its_tag(row: list[str]) -> None:
    _, code, file, tag = row
    name, path = code.split("`")[1], (FOLDER / file.strip("`")).resolve()
    package = path.relative_to(FOLDER.parents[2]).with_suffix("")
    module = importlib.import_module(".".join(package.parts))
    assert tag in (getattr(module, name).__doc__ or ""), f"{name} does not mention {tag!r}"


def test_every_equation_is_on_the_map() -> None:
    assert {f"Eq. ({number})" for number in range(1, 6)} <= {row[3] for row in rows()}
