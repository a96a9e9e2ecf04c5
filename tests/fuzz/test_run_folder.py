"""Fuzz the files of a run folder: the run goes on, or says what is wrong."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from fuzz.budget import Fuzz
from fuzz.mutations import damaged, resembling
from maskcast.cli.path_description import describe_path
from maskcast.core.errors import MaskcastError
from runs.small_run import COUNT, run_into

FILES = {
    "run.json": lambda run: run / "run.json",
    "frames.jsonl": lambda run: run / "frames.jsonl",
    "mask": lambda run: run / "00004.png",
    "state": lambda run: sorted((run / ".states").rglob("*.safetensors"))[-1],
}


@pytest.mark.parametrize("kind", FILES)
def test_a_changed_file(fuzz: Fuzz, tmp_path: Path, kind: str):
    good = tmp_path / "good"
    with suppress(KeyboardInterrupt):
        run_into(good, stop=8)
    content = FILES[kind](good).read_bytes()
    run = tmp_path / "run"

    def goes_on_or_says_why(changed: str | bytes) -> None:
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(good, run)
        path = FILES[kind](run)
        path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
        with suppress(MaskcastError):
            list(describe_path(run))
        try:
            card = run_into(run)
        except MaskcastError:
            return
        assert (card.status, card.frames) == ("finished", COUNT)

    examples = damaged([content])
    if kind == "run.json":
        examples |= resembling([json.loads(content)])
    fuzz(examples, goes_on_or_says_why)
