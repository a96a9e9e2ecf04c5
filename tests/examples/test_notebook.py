"""The notebook runs from its first cell to the last, with the code of its cells alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "first_steps.ipynb"


@pytest.mark.slow
def test_the_notebook_segments_well_and_writes_tables(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    names: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []  # so that it differs only where somebody changed it
            exec("".join(cell["source"]), names)
    score = re.fullmatch(r"J = ([\d.]+) %\n", capsys.readouterr().out)
    assert score is not None and float(score[1]) > 60
    assert (tmp_path / "tracks.csv").read_text().count("\n") == 13
    assert (tmp_path / "masks.json").stat().st_size > 100
