"""A state that is saved and loaded goes on to the same bits."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from maskcast.core.errors import MissingFileError, OutputError, StateError
from maskcast.core.state import ALIGNMENT, ON_HOST, load_state, save_state, state_digest


@dataclass(frozen=True)
class Slot:
    feature: Tensor
    weight: float
    twice: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "twice", 2 * self.weight)


@dataclass(frozen=True)
class Marked(Slot):
    by: str = "hand"


@dataclass(frozen=True)
class Memory:
    slots: tuple[Slot | Marked, ...] = ()
    by_name: Mapping[str, Tensor] = field(default_factory=dict)
    by_id: Mapping[int, Slot] = field(default_factory=dict)
    pair: tuple[int, Slot] | None = None
    last: Slot | None = None
    count: int = 0
    rate: float = 0.0
    name: str | None = None
    random: Tensor = field(default=torch.zeros(0, dtype=torch.uint8), metadata=ON_HOST)


def through_a_file(state, tmp_path, **arguments):
    save_state(state, tmp_path / "state.safetensors")
    return load_state(tmp_path / "state.safetensors", type(state), **arguments)


def test_structure_and_numbers_return(tmp_path):
    slot = Slot(torch.arange(3.0), 0.1)
    state = Memory(
        slots=(slot, Marked(torch.ones(2), 1 / 3, by="ünï\n")),
        by_name={"a.b": torch.eye(2)},
        by_id={300: slot},
        pair=(2**70, slot),
        count=-1,
        rate=math.inf,
    )
    found = through_a_file(state, tmp_path)
    assert type(found.slots[0]) is Slot
    assert type(found.slots[1]) is Marked
    assert found.slots[1].by == "ünï\n"
    assert found.slots[1].weight == 1 / 3
    assert found.slots[0].twice == 0.2
    assert found.pair[0] == 2**70
    assert (found.count, found.rate, found.name, found.last) == (-1, math.inf, None, None)
    assert found.by_name["a.b"].equal(torch.eye(2))
    assert found.by_id[300].feature.equal(slot.feature)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        torch.rand(7, 5).T,
        torch.rand(40)[3:17],
        torch.rand(6, 6)[::2, 1::3],
        torch.rand(1, 4).expand(3, 4),
        torch.tensor(2.5),
        torch.empty(0, 3),
        torch.rand(10)[5:5],
        torch.tensor([True, False, True]),
        torch.tensor([2**63 + 5], dtype=torch.uint64),
        torch.rand(5).bfloat16(),
        torch.rand(5).half(),
        torch.rand(3, dtype=torch.float64),
        torch.rand(3, dtype=torch.complex64).conj(),
        torch.tensor([math.nan, -0.0, math.inf]),
        torch.nn.Parameter(torch.rand(2)),
    ],
    ids=lambda tensor: f"{tensor.dtype}-{tuple(tensor.shape)}-{tensor.stride()}",
)
def test_values_strides_and_alignment_return(tensor, tmp_path):
    found = through_a_file(Slot(tensor, 0.0), tmp_path).feature
    assert found.dtype == tensor.dtype
    assert found.shape == tensor.shape
    assert found.stride() == tensor.stride()
    assert not found.requires_grad
    if tensor.numel():
        assert (found.data_ptr() - tensor.data_ptr()) % ALIGNMENT == 0
    expected, got = tensor.detach().resolve_conj().contiguous(), found.contiguous()
    assert got.view(-1).view(torch.uint8).equal(expected.view(-1).view(torch.uint8))


def test_shared_memory_is_shared_again_and_saved_once(tmp_path):
    whole = torch.rand(1000)
    first, second = Slot(whole[:600], 0.0), Slot(whole[400:], 0.0)
    found = through_a_file(Memory(slots=(first, second, first)), tmp_path)
    one, two, three = (slot.feature for slot in found.slots)
    one[400] = -1.0
    assert two[0] == -1.0
    assert three[400] == -1.0
    assert (tmp_path / "state.safetensors").stat().st_size < 4000 + 2000


def test_a_small_view_does_not_drag_its_storage_along(tmp_path):
    save_state(Slot(torch.rand(100_000)[50_000:50_010], 0.0), tmp_path / "state.safetensors")
    assert (tmp_path / "state.safetensors").stat().st_size < 1000


def test_memory_is_written_from_where_it_lies(tmp_path, monkeypatch):
    # a copy of a large state would be as much again, in an arena that glibc keeps for the thread
    given = []
    monkeypatch.setattr(
        "maskcast.core.state.save_file",
        lambda content, path, **_: (given.extend(content.values()), path.touch()),
    )
    whole = torch.rand(1000)
    save_state(Memory(slots=(Slot(whole[:600], 0.0), Slot(whole[700:], 0.0))), tmp_path / "a")
    spans = {(block.data_ptr(), block.numel()) for block in given}
    assert {(whole.data_ptr(), 2400), (whole[700:].data_ptr(), 1200)} <= spans


def test_a_random_generator_continues(tmp_path):
    generator = torch.Generator().manual_seed(7)
    torch.rand(3, generator=generator)
    state = Memory(random=generator.get_state())
    expected = torch.rand(5, generator=generator)
    again = torch.Generator()
    again.set_state(through_a_file(state, tmp_path, device="cpu").random)
    assert torch.rand(5, generator=again).equal(expected)


def test_tensors_go_to_the_device_but_those_of_the_host_stay(tmp_path):
    state = Memory(last=Slot(torch.rand(3), 0.0), random=torch.zeros(4, dtype=torch.uint8))
    found = through_a_file(state, tmp_path, device="meta")
    assert found.last.feature.device.type == "meta"
    assert found.random.device.type == "cpu"


def test_saving_replaces_the_old_file_only_at_the_end(tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    save_state(Slot(torch.ones(2), 1.0), path)

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("maskcast.core.state.save_file", fail)
    with pytest.raises(OutputError, match=r"cannot write .*state\.safetensors: the disk is full"):
        save_state(Slot(torch.zeros(2), 2.0), path)
    assert load_state(path, Slot).weight == 1.0
    assert [file.name for file in tmp_path.iterdir()] == ["state.safetensors"]


@pytest.mark.parametrize(
    "value", [[1], {1.5: 2}, object(), torch.Generator(), torch.eye(2).to_sparse(), Slot]
)
def test_what_is_no_value_cannot_be_saved(value, tmp_path):
    with pytest.raises(TypeError, match=r"cannot save|tensors of a state must be dense"):
        save_state(Memory(name=value), tmp_path / "state.safetensors")


def test_the_disk_has_a_state_before_it_has_its_name(tmp_path, monkeypatch):
    seen: list[tuple[str, bool]] = []

    def flush(path):
        seen.append((path.suffix or "folder", (tmp_path / "a.safetensors").exists()))

    monkeypatch.setattr("maskcast.core.files.flush_to_disk", flush)
    save_state(None, tmp_path / "a.safetensors")
    assert seen == [(".safetensors", False), ("folder", True)]


def test_a_missing_folder_is_created(tmp_path):
    path = tmp_path / "new" / "state.safetensors"
    save_state(Slot(torch.ones(2), 1.0), path)
    assert load_state(path, Slot).weight == 1.0
    with pytest.raises(OutputError, match=r"cannot create the folder .*state\.safetensors"):
        save_state(Slot(torch.ones(2), 1.0), path / "state.safetensors")


def test_what_safetensors_reports_is_an_error_of_the_file(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("maskcast.core.state.save_file", fail)
    with pytest.raises(OutputError, match=r"cannot write .*state\.safetensors: .*No space"):
        save_state(Slot(torch.ones(2), 1.0), tmp_path / "state.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_another_class_is_refused_by_name(tmp_path):
    path = tmp_path / "state.safetensors"
    save_state(Slot(torch.ones(2), 1.0), path)
    with pytest.raises(StateError, match="found Slot where Memory was expected"):
        load_state(path, Memory)
    with pytest.raises(MissingFileError, match="does not exist"):
        load_state(tmp_path / "none.safetensors", Slot)


@pytest.mark.parametrize("length", [0, 7, 100, -20])
def test_a_truncated_file_is_refused(length, tmp_path):
    path = tmp_path / "state.safetensors"
    save_state(Slot(torch.ones(200), 1.0), path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(StateError, match=r"state\.safetensors"):
        load_state(path, Slot)


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [10**9]},
        {"shape": [-2]},
        {"stride": [10**9]},
        {"offset": 10**9},
        {"offset": -64},
        {"offset": 1},
        {"dtype": "object"},
        {"number": 5},
    ],
)
def test_a_header_that_lies_is_refused(change, tmp_path):
    path = tmp_path / "state.safetensors"
    save_state(Slot(torch.ones(3), 1.0), path)
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["maskcast.state"])
    header["blocks"][0]["tensors"][0].update(change)
    save_file(load_file(path), path, metadata={"maskcast.state": json.dumps(header)})
    with pytest.raises(StateError, match="cannot read the saved state"):
        load_state(path, Slot)


@pytest.mark.parametrize(("old", "new"), [(b"float32", b"float64"), (b"\x00\x00\x80?", bytes(4))])
def test_a_changed_type_or_value_is_refused(old, new, tmp_path):
    path = tmp_path / "state.safetensors"
    save_state(Slot(torch.ones(4), 1.0), path)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(StateError, match="has changed since it was saved"):
        load_state(path, Slot)


def test_a_file_of_version_0_1_has_no_checksum(tmp_path):
    path = tmp_path / "state.safetensors"
    save_state(Slot(torch.ones(3), 1.0), path)
    with safe_open(path, "pt") as file:
        header = file.metadata()["maskcast.state"]
    save_file(load_file(path), path, metadata={"maskcast.state": header})
    assert load_state(path, Slot).feature.equal(torch.ones(3))


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10**6), value=st.integers(0, 255))
def test_a_changed_byte_never_escapes(tmp_path_factory, place, value):
    path = tmp_path_factory.mktemp("flip") / "state.safetensors"
    save_state(Slot(torch.ones(5)[1:], 0.5), path)
    changed = bytearray(path.read_bytes())
    changed[place % len(changed)] = value
    path.write_bytes(changed)
    try:
        found = load_state(path, Slot)
    except StateError:
        return
    assert isinstance(found.feature, Tensor)


def test_a_digest_is_saved_beside_a_state_and_read_without_loading_it(tmp_path):
    path = tmp_path / "state.safetensors"
    save_state(Slot(torch.ones(2), 0.5), path, digest="0123abcd")
    assert state_digest(path) == "0123abcd"
    assert load_state(path, Slot).feature.equal(torch.ones(2))
    save_state(Slot(torch.ones(2), 0.5), path)
    assert state_digest(path) is None
    path.write_bytes(path.read_bytes()[:20])
    assert state_digest(path) is None
    assert state_digest(tmp_path / "none.safetensors") is None


@dataclass(frozen=True)
class Before:
    weight: float


@dataclass(frozen=True)
class Later:
    weight: float
    absent: bool = False
    seen: tuple[int, ...] = field(default_factory=tuple)


@dataclass(frozen=True)
class LaterWithoutDefault:
    weight: float
    absent: bool


def renamed(path, tmp_path, name):
    """The same file, as if the class of the state had had another name when it was saved."""
    content = load_file(path)
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["maskcast.state"])
    header["value"]["class"] = name
    other = tmp_path / f"{name}.safetensors"
    save_file(content, other, metadata={"maskcast.state": json.dumps(header)})
    return other


def test_fields_that_an_older_file_lacks_take_their_defaults(tmp_path):
    save_state(Before(0.25), tmp_path / "before.safetensors")
    later = renamed(tmp_path / "before.safetensors", tmp_path, "Later")
    assert load_state(later, Later) == Later(0.25, False, ())
    needed = renamed(tmp_path / "before.safetensors", tmp_path, "LaterWithoutDefault")
    with pytest.raises(StateError, match="fields absent, weight, but the file has weight"):
        load_state(needed, LaterWithoutDefault)


def test_fields_that_a_newer_file_has_are_an_error(tmp_path):
    save_state(Later(0.25, True), tmp_path / "later.safetensors")
    before = renamed(tmp_path / "later.safetensors", tmp_path, "Before")
    with pytest.raises(StateError, match="fields weight, but the file has absent, seen, weight"):
        load_state(before, Before)
