"""The table of docs/runs.md says what happens: cases of ``benchmarks/runs/behaviour.py``.

The script runs version 0.1 and this one with real weights; here, this one runs with the stand-in,
which computes the same frames.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
import torch

from cli.conftest import maskcast  # noqa: F401 - a fixture
from maskcast.io.weights.files import write_weights
from runs.version_0_1 import as_version_0_1_wrote_it

ROOT = Path(__file__).parents[2]


def _script() -> ModuleType:
    path = ROOT / "benchmarks" / "runs" / "behaviour.py"
    spec = importlib.util.spec_from_file_location("behaviour", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["behaviour"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


behaviour = _script()


def rows() -> list[list[str]]:
    """The cells of the table in docs/runs.md."""
    text = (ROOT / "docs" / "runs.md").read_text()
    assert behaviour.HEADER[0] in text
    table = text.split("\n".join(behaviour.HEADER) + "\n")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_the_table_lists_the_cases():
    assert [row[:2] for row in rows()] == [[case.name, case.shown()] for case in behaviour.CASES]


@pytest.mark.parametrize("number", range(len(behaviour.CASES)))
def test_a_row_of_the_table_is_true(number, tmp_path, monkeypatch, maskcast):  # noqa: F811
    case = behaviour.CASES[number]
    behaviour.make_clip(tmp_path)
    write_weights(
        tmp_path / "colours.safetensors",
        method="colours",
        config={},
        tensors={"colour_bias": torch.zeros(())},
        card={},
    )
    monkeypatch.chdir(tmp_path)

    def call(flags: Sequence[str]) -> int:
        fixed = ("--weights", "./colours.safetensors", "--save-seconds", "1000")
        return maskcast("segment", "clip", *flags, *fixed).exit_code

    def begin(flags: Sequence[str]) -> int:
        exit_code = call([*flags, "--keep-every", "0"])
        as_version_0_1_wrote_it(tmp_path / "out")
        return exit_code

    found = behaviour.outcome(case, tmp_path, call, begin, is_new=True)
    assert found == rows()[number][3]
