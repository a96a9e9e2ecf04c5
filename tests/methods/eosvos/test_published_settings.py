"""The table of published settings in the README names settings that exist here."""

from __future__ import annotations

import re
from operator import attrgetter
from pathlib import Path

import pytest

from maskcast.methods import eosvos
from maskcast.methods.eosvos.config import EOSVOSConfig
from maskcast.methods.eosvos.training.config import MetaTrainingConfig


def rows() -> list[list[str]]:
    text = (Path(eosvos.__file__).parent / "README.md").read_text("utf-8")
    table = text[text.index("| published | here |") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_every_setting_of_the_published_system_is_here(row: list[str]) -> None:
    for name in re.findall(r"`([^`]+)`", row[1]):
        try:
            attrgetter(name)(EOSVOSConfig())
        except AttributeError:
            attrgetter(name)(MetaTrainingConfig())
