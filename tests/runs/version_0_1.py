"""Run folders as version 0.1 wrote them."""

from __future__ import annotations

import json
from pathlib import Path

from contract.stand_in import ColourState
from maskcast.core.state import load_state, save_state


def as_version_0_1_wrote_it(folder: Path) -> None:
    """Take from a folder what version 0.1 did not write."""
    card = json.loads((folder / "run.json").read_text())
    del card["format"]
    (folder / "run.json").write_text(json.dumps(card))
    lines = [json.loads(line) for line in (folder / "frames.jsonl").read_text().split("\n") if line]
    kept = [{name: line[name] for name in ("frame", "mask", "objects")} for line in lines]
    (folder / "frames.jsonl").write_text("".join("\n" + json.dumps(line) for line in kept))
    for path in (folder / ".states").rglob("*.safetensors"):
        save_state(load_state(path, ColourState), path)
