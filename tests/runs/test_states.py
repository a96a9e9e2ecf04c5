from __future__ import annotations

from dataclasses import dataclass

import torch

from maskcast.runs.states import SavedStates


@dataclass(frozen=True)
class Value:
    value: torch.Tensor


def test_what_a_killed_save_left_goes_with_the_next_one(tmp_path):
    """safetensors names its own unfinished file, ``core.state`` another."""
    states = SavedStates(tmp_path, "digest {}".format)
    (tmp_path / "backward").mkdir()
    for torn in (".tmp7K3XX8", ".0a1b2c3d4e5f.part.safetensors"):
        (tmp_path / torn).write_bytes(b"half")
    states.save(3, Value(torch.ones(2)))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["00000003.safetensors", "backward"]
