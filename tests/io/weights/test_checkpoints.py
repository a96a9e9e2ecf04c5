"""Foreign checkpoints give their numbers and nothing else: no file can make anything run."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save as to_safetensors
from safetensors.torch import save_file

from maskcast.core.errors import MissingFileError, WeightsError
from maskcast.io.weights.checkpoints import MAGIC_NUMBER, read_foreign_checkpoint, read_state_dict

SERIALISATIONS = {"zip": True, "legacy": False}


@pytest.fixture(params=SERIALISATIONS)
def save(request: pytest.FixtureRequest, tmp_path: Path):
    def write(content: object) -> Path:
        path = tmp_path / "file.pth"
        torch.save(content, path, _use_new_zipfile_serialization=SERIALISATIONS[request.param])
        return path

    return write


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch):
    """A class of a module that exists while the file is written and not when it is read."""
    import sys  # noqa: PLC0415

    module = types.ModuleType("ltr_like.admin")

    class Settings:
        def __init__(self) -> None:
            self.lr = 0.1
            self.tensor = torch.ones(2)

    Settings.__module__, Settings.__qualname__ = module.__name__, "Settings"
    module.Settings = Settings  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ltr_like", types.ModuleType("ltr_like"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return Settings


DTYPES = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_of_every_dtype_come_back(save, dtype):
    tensor = (torch.arange(12).reshape(3, 4) % 3).to(dtype)
    found = read_foreign_checkpoint(save({"net": {"w": tensor}}))["net"]["w"]
    assert found.dtype == dtype
    assert torch.equal(found, tensor)


def test_the_tree_comes_back_as_plain_values(save):
    shared = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    content = {
        "epoch": 80,
        "name": "LWL",
        "net": OrderedDict(a=shared, b=shared[1:3, ::2], c=shared.t(), d=torch.empty(0, 5)),
        "scalar": torch.tensor(2.5),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "optimizer": {"state": {0: {"step": 3}}, "groups": [{"betas": (0.9, 0.999), "on": True}]},
        "nothing": None,
        "size": torch.Size([2, 3]),
    }
    found = read_foreign_checkpoint(save(content))
    assert list(found["net"]) == ["a", "b", "c", "d"]
    for name, tensor in content["net"].items():
        assert torch.equal(found["net"][name], tensor)
        assert found["net"][name].is_contiguous()
    assert torch.equal(found["scalar"], torch.tensor(2.5))
    assert torch.equal(found["parameter"], torch.ones(2))
    assert found["optimizer"] == {
        "state": {0: {"step": 3}},
        "groups": [{"betas": [0.9, 0.999], "on": True}],
    }
    assert (found["epoch"], found["name"], found["nothing"]) == (80, "LWL", None)
    assert found["size"] == [2, 3]


def test_foreign_objects_are_dropped_and_named_in_the_log(save, foreign, monkeypatch, caplog):
    path = save({"net": {"w": torch.ones(2)}, "settings": foreign(), "list": [1, foreign()]})
    monkeypatch.undo()  # the module is gone
    with caplog.at_level("INFO"):
        found = read_foreign_checkpoint(path)
    assert set(found) == {"net", "list"}
    assert found["list"] == [1, None]
    assert "ltr_like.admin.Settings" in caplog.text


def test_big_endian_legacy_files_are_turned_round(tmp_path):
    path = tmp_path / "big.pth"
    torch.save({"w": torch.tensor([1.5, -2.0])}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    head, _, _ = content.partition(struct.pack("<q", 2) + struct.pack("<2f", 1.5, -2.0))
    before, key, after = head.partition(b"little_endian")
    path.write_bytes(
        before + key + after.replace(b"\x88", b"\x89", 1)  # True becomes False
        + struct.pack(">q", 2)
        + struct.pack(">2f", 1.5, -2.0)
    )  # fmt: skip
    assert read_foreign_checkpoint(path)["w"].tolist() == [1.5, -2.0]


class Runs:
    """Pickles as a call of ``function(*arguments)``."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


class SetsState:
    """Pickles as an object whose state is set by a call."""

    def __reduce__(self) -> tuple[object, ...]:
        return (types.SimpleNamespace, (), {"a": 1}, None, None, exec)


MARK = "MASKCAST_FOREIGN_CODE"
CODE = f"import os; os.environ[{MARK!r}] = '1'"

HOSTILE = {
    "os.system": lambda: Runs(os.system, f"touch {MARK}"),
    "eval": lambda: Runs(eval, f"__import__('os').putenv({MARK!r}, '1')"),
    "exec": lambda: Runs(exec, CODE),
    "nested in a list": lambda: [1, [2, {"deep": (Runs(exec, CODE),)}]],
    "state setter": SetsState,
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_asks_for_code_is_refused(save, payload, monkeypatch, tmp_path):
    path = save({"net": {"w": torch.ones(2)}, "extra": payload()})
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(MARK, raising=False)
    with pytest.raises(WeightsError, match="runs code on this machine; nothing was executed"):
        read_foreign_checkpoint(path)
    assert MARK not in os.environ
    assert not (tmp_path / MARK).exists()


def test_unknown_callables_stay_inert(save, tmp_path, monkeypatch):
    # nothing in the list of names that are refused at once: only the stub keeps it from running
    target = tmp_path / "made"
    path = save({"w": torch.ones(2), "extra": Runs(Path.mkdir, target), "p": Runs(print, "hello")})
    found = read_foreign_checkpoint(path)
    assert set(found) == {"w"}
    assert not target.exists()


def write_program(path: Path, program: bytes, kind: str = "zip") -> Path:
    """A checkpoint whose content is this pickle."""
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("file/data.pkl", program)
    else:
        head = [pickle.dumps(part, protocol=2) for part in (MAGIC_NUMBER, 1001, {})]
        path.write_bytes(b"".join([*head, program, pickle.dumps([], protocol=2)]))
    return path


OS_SYSTEM = f"touch {MARK}".encode()
ESCAPES = {
    "dotted name": b"\x80\x04\x8c\x09posixpath\x8c\x09os.system\x93",
    "getattr": b"\x80\x04c__builtin__\ngetattr\ncposixpath\nos\nX\x06\x00\x00\x00system\x86R",
    "attrgetter": b"\x80\x04coperator\nattrgetter\nX\x09\x00\x00\x00os.system\x85R"
    b"cposixpath\n__dict__\n\x85R",
    "partial": b"\x80\x04cfunctools\npartial\n",
}


@pytest.mark.parametrize("kind", SERIALISATIONS)
@pytest.mark.parametrize("start", ESCAPES.values(), ids=ESCAPES)
@pytest.mark.parametrize("end", [b"\x85R", b"\x85\x81", b"b"], ids=["REDUCE", "NEWOBJ", "BUILD"])
def test_roundabout_ways_to_os_system_lead_nowhere(tmp_path, monkeypatch, kind, start, end):
    command = b"X" + struct.pack("<I", len(OS_SYSTEM)) + OS_SYSTEM
    program = start[:2] + b"}X\x01\x00\x00\x00a" + start[2:] + command + end + b"s."
    path = write_program(tmp_path / "file.pth", program, kind)
    monkeypatch.chdir(tmp_path)
    try:
        found = read_foreign_checkpoint(path)
    except WeightsError:
        found = {}
    assert found == {}
    assert not (tmp_path / MARK).exists()


def build(state: bytes) -> bytes:
    """A pickle of {"w": 1} to whose dictionary class the state is applied."""
    return b"\x80\x02ccollections\nOrderedDict\n" + state + b"b."


@pytest.mark.parametrize(
    "program",
    [
        build(b"}X\x01\x00\x00\x00aK\x01s"),  # sets an attribute of OrderedDict itself
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x08\x00\x00\x00__call__K\x01sb.",
        b"\x80\x02ctorch\nFloatStorage\n)R.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x02K\x03K\x04tR.",
        b"\x80\x02X\x03\x00\x00\x00abcQ.",  # a persistent id that is not a storage
        b"\x80\x02\x82\x01.",  # the extension registry
        b"\x80\x02]r\xff\xff\xff\x7f.",  # a memo of two thousand million entries
        b"\x80\x02" + b"]" * 200 + b"a" * 199 + b".",  # nested too deep
        b"\x80\x02}X\x01\x00\x00\x00a",  # no end
        b"\x80\x02.",  # nothing on the stack
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",  # a frame longer than any file
    ],
)
@pytest.mark.parametrize("kind", SERIALISATIONS)
def test_malformed_pickles_are_refused(tmp_path, program, kind):
    path = write_program(tmp_path / "file.pth", program, kind)
    with pytest.raises(WeightsError):
        read_foreign_checkpoint(path)
    assert not hasattr(OrderedDict, "a")


def write_tensor(
    path: Path, *, count: int = 4, offset: int = 0, shape: tuple = (4,), strides: tuple = (1,),
    key: str = "0", state: object = None, beside: dict | None = None,
) -> Path:  # fmt: skip
    """A zip file whose only tensor lies where it is told to in a storage of four numbers."""

    class Tensor:
        def __reduce__(self) -> tuple[object, ...]:
            arguments = (Storage(), offset, shape, strides, False, OrderedDict())
            return torch._utils._rebuild_tensor_v2, arguments, state

    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing: object) -> object:
            if isinstance(thing, Storage):
                return "storage", torch.FloatStorage, key, "cpu", count
            return None

    buffer = io.BytesIO()
    Pickler(buffer, protocol=4).dump({"w": Tensor(), **(beside or {})})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("file/data.pkl", buffer.getvalue())
        archive.writestr("file/data/0", np.arange(4, dtype=np.float32).tobytes())
    return path


def test_a_tensor_is_a_window_of_its_storage(tmp_path):
    path = write_tensor(tmp_path / "f.pth", offset=1, shape=(3,))
    assert read_foreign_checkpoint(path)["w"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"offset": 2, "shape": (3,)}, "extends beyond its storage"),
        ({"offset": -1, "shape": (3,)}, "extends beyond its storage"),
        ({"shape": (2, 2), "strides": (4, 1)}, "extends beyond its storage"),
        ({"shape": (10**6, 10**6), "strides": (0, 0)}, "extends beyond its storage"),
        ({"shape": (-2,)}, "extends beyond its storage"),
        ({"shape": (2,), "strides": (-1,), "offset": 3}, "extends beyond its storage"),
        ({"count": 5, "shape": (5,)}, "has 16 bytes, expected 20"),
        ({"count": 2**40, "shape": (2,)}, "many times the size of the file"),
        ({"count": 10**5000}, "not an integer, or larger"),
        ({"shape": (2.5,)}, "not an integer, or larger"),
        ({"shape": (10**5000,)}, "not an integer, or larger"),
        ({"shape": (1,), "strides": (10**30,)}, "not an integer, or larger"),
        ({"shape": (1,) * 65, "strides": (1,) * 65}, "not an integer, or larger"),
        ({"shape": (0, 2**40, 2**40), "strides": (1, 1, 1)}, "Stride calculation overflowed"),
        (
            {"shape": (2, 2), "strides": (1,)},
            "the shape and the strides of a tensor differ in length",
        ),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(tmp_path, wrong, message):
    path = write_tensor(tmp_path / "f.pth", **wrong)
    with pytest.raises(WeightsError, match=message):
        read_foreign_checkpoint(path)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            b"}K\x01\x85" + b"2\x86" * 60 + b"K\x01s.",
            "a dictionary key is nested",
        ),  # (t, t), 60 levels of it
        (
            b"})" + b"\x85" * 20_000 + b"K\x01s.",
            "a dictionary key is nested",
        ),  # hashing this ends the process
        (b"}(K\x01\x85" + b"2\x86" * 60 + b"K\x01u.", "a dictionary key is nested"),
        (b"(K\x01\x85" + b"2\x86" * 60 + b"K\x01d.", "a dictionary key is nested"),
        (
            b"}\x8a\x08" + struct.pack("<q", 2**61 - 1) + b"K\x01s.",
            "a dictionary key is nested",
        ),  # hash 0, as 0
        (b"\x8f(K\x01\x85" + b"2\x86" * 60 + b"\x90.", "a dictionary key is nested"),
        (b"(K\x01\x85" + b"2\x86" * 60 + b"\x91.", "a dictionary key is nested"),
        (
            b"ccollections\nOrderedDict\n]K\x01\x85" + b"2\x86" * 60 + b"N\x86a\x85R.",
            "a dictionary key is nested",
        ),
        (
            b"(X\x07\0\0\0storagectorch\nFloatStorage\n])" + b"2\x86" * 60 + b"aNK\x04tQ.",
            "unknown dtype",
        ),
        (b")" + b"2\x86" * 60 + b"Q.", "not a storage"),
    ],
)
def test_what_a_few_bytes_make_endless_is_refused_at_once(tmp_path, program, message):
    path = write_program(tmp_path / "f.pth", b"\x80\x04" + program)
    with pytest.raises(WeightsError, match=message):
        read_foreign_checkpoint(path)


def test_a_pickle_of_too_many_steps_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("maskcast.io.weights.safe_pickle.MOST_OPERATIONS", 1000)
    path = write_program(tmp_path / "f.pth", b"\x80\x02](" + b"]" * 1000 + b"e.")
    with pytest.raises(WeightsError, match="more than 1000 steps"):
        read_foreign_checkpoint(path)


def test_state_set_on_stand_ins_is_forgotten(tmp_path):
    # a tensor whose checked shape a file changes afterwards, a dictionary whose items it hides
    class Dictionary:
        def __reduce__(self) -> tuple[object, ...]:
            return OrderedDict, (), {"items": 5}

    path = write_tensor(
        tmp_path / "f.pth",
        state={"shape": (9, 9), "storage": 5},
        beside={"d": Dictionary(), ("a", (1, 2)): 1, frozenset(("b",)): 2},
    )
    found = read_foreign_checkpoint(path)
    assert found["w"].tolist() == [0, 1, 2, 3]
    assert found["d"] == {}


def test_one_storage_read_again_and_again_is_refused(tmp_path):
    # a thousand windows, two storages in turn: every one would be unpacked again
    storages = [torch.zeros(100_000), torch.ones(100_000)]
    windows = [storages[i % 2][i : i + 1] for i in range(1000)]
    torch.save({"w": windows}, tmp_path / "f.pth")
    with pytest.raises(WeightsError, match="many times the size of the file"):
        read_foreign_checkpoint(tmp_path / "f.pth")
    torch.save({"w": windows[::2]}, tmp_path / "f.pth")
    assert len(read_foreign_checkpoint(tmp_path / "f.pth")["w"]) == 500


def test_a_zip_bomb_is_refused(tmp_path):
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("file/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("file/data/0", bytes(2**25))
    with pytest.raises(WeightsError, match="claim to unpack"):
        read_foreign_checkpoint(path)


@pytest.mark.parametrize("packing", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_packings_are_refused(tmp_path, packing):
    path = tmp_path / "f.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("file/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("file/data/0", bytes(100), compress_type=packing)
    with pytest.raises(WeightsError, match="a compression that PyTorch does not use"):
        read_foreign_checkpoint(path)


def test_names_that_climb_out_of_the_archive_reach_nothing(tmp_path, monkeypatch):
    (tmp_path / "secret").write_bytes(np.full(4, 7.0, np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    write_tensor(tmp_path / "f.pth", key="../../secret")
    with zipfile.ZipFile("f.pth", "a") as archive:
        archive.writestr("../../climbed", b"x")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(WeightsError, match=r"the entry .* is missing"):
        read_foreign_checkpoint(tmp_path / "f.pth")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_tree_that_doubles_at_every_level_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("maskcast.io.weights.checkpoints.LARGEST_TREE", 10_000)
    tree: object = 1
    for _ in range(40):
        tree = [tree, tree]
    torch.save({"a": tree}, tmp_path / "f.pth")
    with pytest.raises(WeightsError, match="more entries, than any checkpoint"):
        read_foreign_checkpoint(tmp_path / "f.pth")


def test_a_missing_file(tmp_path):
    with pytest.raises(MissingFileError, match=r"checkpoint .*absent\.pth does not exist"):
        read_foreign_checkpoint(tmp_path / "absent.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither a ZIP archive nor a pickle"),
        (to_safetensors({"a": torch.zeros(2)}), "a safetensors file needs no import"),
        (b"<!DOCTYPE html><html>quota exceeded</html>", "a web page, not a checkpoint"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "neither a ZIP archive nor a pickle"),
        (pickle.dumps({"a": 1}, protocol=2), "not written by torch.save"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path, content, message):
    (tmp_path / "f.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        read_foreign_checkpoint(tmp_path / "f.pth")


def test_an_old_tar_file_is_refused_unread(tmp_path, monkeypatch):
    # torch before 0.2 wrote tar archives of pickles; a hostile one must not get to run
    path = tmp_path / "old.pth.tar"
    payload = pickle.dumps(Runs(exec, CODE), protocol=2)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            entry = tarfile.TarInfo(name)
            entry.size = len(payload)
            archive.addfile(entry, io.BytesIO(payload))
    monkeypatch.delenv(MARK, raising=False)
    with pytest.raises(WeightsError, match="tar archives"):
        read_foreign_checkpoint(path)
    assert MARK not in os.environ


def test_an_archive_of_checkpoints_lists_its_members(tmp_path):
    path = tmp_path / "models.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("DAVIS/best.model", b"x")
    with pytest.raises(
        WeightsError, match=r"unpack it and give one of its files: DAVIS/best\.model"
    ):
        read_foreign_checkpoint(path)


def test_a_torchscript_program_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "f.pth", "w") as archive:
        archive.writestr("f/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("f/constants.pkl", pickle.dumps((), protocol=2))
    with pytest.raises(WeightsError, match="TorchScript"):
        read_foreign_checkpoint(tmp_path / "f.pth")


def test_something_other_than_a_dictionary(save):
    with pytest.raises(WeightsError, match="contains a Tensor, but a checkpoint is a dictionary"):
        read_foreign_checkpoint(save(torch.ones(2)))


@pytest.mark.parametrize("kind", SERIALISATIONS)
@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused(tmp_path_factory, kind, share):
    folder = tmp_path_factory.mktemp("cut")
    content = {"net": {"w": torch.arange(300.0)}, "epoch": 3}
    torch.save(content, folder / "f.pth", _use_new_zipfile_serialization=SERIALISATIONS[kind])
    whole = (folder / "f.pth").read_bytes()
    (folder / "f.pth").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(WeightsError):
        read_foreign_checkpoint(folder / "f.pth")


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10**6), value=st.integers(0, 255), kind=st.sampled_from([True, False]))
def test_a_changed_byte_never_escapes(tmp_path_factory, place, value, kind):
    folder = tmp_path_factory.mktemp("flip")
    content = {"net": OrderedDict(w=torch.ones(2)), "epoch": 3}
    torch.save(content, folder / "f.pth", _use_new_zipfile_serialization=kind)
    changed = bytearray((folder / "f.pth").read_bytes())
    changed[place % len(changed)] = value
    (folder / "f.pth").write_bytes(changed)
    try:
        found = read_foreign_checkpoint(folder / "f.pth")
    except WeightsError:
        return
    assert isinstance(found, dict)


def test_tensors_by_name_are_found_in_either_kind_of_file(tmp_path):
    tensors = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(1, dtype=torch.float16)}
    save_file(tensors, tmp_path / "whole.safetensors")
    torch.save({**tensors, "epoch": 3}, tmp_path / "flat.pth")
    torch.save({"model": tensors, "optimizer": {"lr": 0.1}}, tmp_path / "nested.pth")
    for name in ("whole.safetensors", "flat.pth", "nested.pth"):
        found = read_state_dict(tmp_path / name)
        assert found.keys() == tensors.keys()
        assert all(torch.equal(found[key], tensors[key]) for key in tensors)
        assert found["b"].dtype == torch.float16


def test_a_file_without_tensors_is_no_state_dict(tmp_path):
    torch.save({"epoch": 3, "model": "a name"}, tmp_path / "empty.pth")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    for name, message in (("empty.pth", "no state dict"), ("cut.safetensors", "cannot read")):
        with pytest.raises(WeightsError, match=message):
            read_state_dict(tmp_path / name)
    with pytest.raises(MissingFileError, match="does not exist"):
        read_state_dict(tmp_path / "nowhere.safetensors")
