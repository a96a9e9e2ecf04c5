"""The map from the paper's symbols to names cannot go stale."""

from __future__ import annotations

import importlib
import re
from operator import attrgetter
from pathlib import Path

import pytest

from maskcast.methods import eosvos
from maskcast.methods.eosvos.config import EOSVOSConfig
from maskcast.methods.eosvos.training.config import MetaTrainingConfig

FOLDER = Path(eosvos.__file__).parent


def rows(title: str = "| paper | code |") -> list[list[str]]:
    text = (FOLDER / "README.md").read_text("utf-8")
    table = text[text.index(title) :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_every_name_of_the_map_exists_and_carries_its_tag(row: list[str]) -> None:
    _, code, file, tag = row
    parts = Path(file.strip("`")).with_suffix("").parts
    module = importlib.import_module(".".join((eosvos.__name__, *parts)))
    documentation = attrgetter(code.strip("`"))(module).__doc__ or ""
    assert tag in documentation or tag in (module.__doc__ or ""), f"{code} lacks {tag!r}"


def test_every_equation_is_on_the_map() -> None:
    assert {f"Eq. ({number})" for number in range(1, 6)} <= {row[3] for row in rows()}


@pytest.mark.parametrize("row", rows("| published | here |"), ids=lambda row: row[0])
def test_every_setting_of_the_published_system_is_here(row: list[str]) -> None:
    for name in re.findall(r"`([^`]+)`", row[1]):
        try:
            attrgetter(name)(EOSVOSConfig())
        except AttributeError:
            attrgetter(name)(MetaTrainingConfig())
