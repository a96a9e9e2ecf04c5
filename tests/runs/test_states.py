from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from maskcast.core.state import save_state
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


def big_states(folder: Path, limit: int) -> SavedStates:
    return SavedStates(folder, "digest {}".format, limit=limit)


def save_all(states: SavedStates, numbers: range, keep_every: int) -> None:
    for number in numbers:
        if states.is_due(number, keep_every) or number % 10 == 9:
            states.save(number, Value(torch.ones(1000)), keep_every=keep_every)


def test_kept_states_are_thinned_out_when_they_take_too_much_room(tmp_path):
    one = SavedStates(tmp_path / "one", "{}".format)
    one.save(0, Value(torch.ones(1000)))
    limit = int(8.5 * one.size())
    states = big_states(tmp_path / "many", limit=limit)
    save_all(states, range(36), 5)
    assert states.numbers() == [*range(0, 36, 5)]  # eight
    save_all(states, range(36, 40), 5)  # with 39 they would be nine
    assert states.numbers() == [0, 10, 20, 30, 35, 39]
    save_all(states, range(40, 120), 5)
    assert states.numbers() == [0, 20, 40, 60, 80, 100, 109, 119]
    assert states.size() <= limit


def test_the_first_and_the_last_two_states_stay_whatever_room_they_take(tmp_path):
    states = big_states(tmp_path, limit=1)
    save_all(states, range(40), 5)
    assert states.numbers() == [0, 29, 39]
    for number in (40, 41):
        states.save(number, Value(torch.ones(1000)))
    assert states.numbers() == [0, 40, 41]


def test_without_a_distance_only_the_first_and_the_last_two_states_stay(tmp_path):
    states = big_states(tmp_path, limit=10**9)
    for number in range(0, 100, 7):
        states.save(number, Value(torch.ones(2)), keep_every=0)
    assert states.numbers() == [0, 91, 98]
    assert not states.is_due(0, 0)


def test_only_states_with_the_right_digest_and_name_count(tmp_path):
    states = SavedStates(tmp_path, "digest {}".format)
    for number in (1, 2, 3):
        states.save(number, Value(torch.full((2,), float(number))))
    save_state(Value(torch.zeros(2)), states.path(3), digest="digest 4")
    for name in ("9" * 60, "123", "0000000x"):
        save_state(Value(torch.zeros(2)), tmp_path / f"{name}.safetensors", digest="digest 3")
    assert states.numbers() == [1, 2, 3]
    newest = states.newest(Value, before=10, device="cpu")
    assert newest is not None
    assert (newest[0], newest[1].value.tolist()) == (2, [2.0, 2.0])
    assert states.newest(Value, before=1, device="cpu") is None


def test_a_damaged_state_is_passed_over_with_a_warning(tmp_path, caplog):
    states = SavedStates(tmp_path, "digest {}".format)
    for number in (1, 2):
        states.save(number, Value(torch.ones(1000)))
    content = states.path(2).read_bytes()
    header = int.from_bytes(content[:8], "little")
    states.path(2).write_bytes(content[: 8 + header] + content[8 + header : -500])
    newest = states.newest(Value, before=10, device="cpu")
    assert newest is not None
    assert newest[0] == 1
