"""Read torch files of strangers without executing anything in them.

A torch file is a pickle, and a pickle is a program. Ours is run by an unpickler which knows four
kinds of names: ordered dictionaries, tensors, storages, sizes. Every other name becomes an inert
stub that is dropped afterwards, and names that can only be there to run code refuse the file. Both
serialisations are read here, without torch.load:

    zip      ``NAME/data.pkl`` and one file per storage, ``NAME/data/KEY``
    legacy   five pickles (magic number, version, system, content, storage keys), then the storages
"""

from __future__ import annotations

import io
import logging
import math
import pickle
import pickletools
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from maskcast.core.errors import MissingFileError, WeightsError

log = logging.getLogger(__name__)

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
LARGEST_PICKLE = 2**28
"""Bytes of the pickles alone, without the storages."""
DEEPEST_TREE = 64
LARGEST_TREE = 2_000_000
"""Entries of the whole tree; an optimiser's state has some ten thousand."""

DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}

_File: TypeAlias = io.BufferedReader | io.BytesIO

# fmt: off
_CODE_RUNNING_MODULES = frozenset((
    "os", "posix", "nt", "subprocess", "sys", "shutil", "socket", "runpy", "importlib", "pty",
    "ctypes", "code", "pdb", "timeit", "webbrowser", "multiprocessing", "pickle", "marshal",
    "types", "operator", "asyncio", "_posixsubprocess", "urllib", "commands",
))
_CODE_RUNNING_BUILTINS = frozenset((
    "eval", "exec", "compile", "execfile", "open", "file", "input", "breakpoint", "apply",
    "__import__",
))
# fmt: on
_ODD_OPCODES = frozenset(("EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"))


def read_foreign_checkpoint(path: Path) -> dict[str, Any]:
    """Read a torch file from the network: a tree of dicts, lists, tensors, numbers and strings.

    Nothing in the file is executed and no module it names is imported. Objects of foreign classes
    are dropped: their dictionary entries disappear, their places in lists become ``None``. Tensors
    come on the CPU, contiguous.

    Raises:
        MissingFileError: there is no such file.
        WeightsError: the file is truncated, not a torch file, asks for code to be run, or claims
            to be larger than it is.
    """
    if not path.is_file():
        raise MissingFileError(f"there is no checkpoint {path}")
    try:
        with path.open("rb") as file:
            is_zip = file.read(4) == b"PK\x03\x04"
            tree = _read_zip(file) if is_zip else _read_legacy(file)
    except WeightsError as error:
        raise WeightsError(f"{path.name}: {error}") from error
    if not isinstance(tree, dict):
        raise WeightsError(
            f"{path.name} holds a {type(tree).__name__}, but a checkpoint is a dictionary"
        )
    return tree


@dataclass(frozen=True)
class _Storage:
    """A run of numbers somewhere in the file."""

    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True)
class _TensorPlan:
    """What a tensor will look like once its storage is read; all counts in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Inert:
    """Stands for an object of a foreign class: takes everything, does nothing."""

    def __new__(cls, *_args: object, **_named: object) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_args: object, **_named: object) -> None: ...

    def __setstate__(self, _state: object) -> None: ...

    def __setitem__(self, _key: object, _value: object) -> None: ...

    def append(self, _item: object) -> None: ...

    def extend(self, _items: object) -> None: ...

    def add(self, _item: object) -> None: ...

    def update(self, *_args: object, **_named: object) -> None: ...

    def __hash__(self) -> int:
        return id(self)


class _InertAttribute:
    """``getattr``, by which older pickles name nested classes and methods: gives a stub class."""

    __slots__ = ()

    def __call__(self, *_args: object) -> type[_Inert]:
        return _Inert

    def __setstate__(self, _state: object) -> None: ...


class _PlanTensor:
    """``torch._utils._rebuild_tensor`` and its later form; an instance, so that no state sticks."""

    __slots__ = ()

    def __call__(
        self,
        storage: Any,
        offset: Any,
        shape: Any,
        strides: Any,
        *_rest: object,
    ) -> _TensorPlan:
        if not isinstance(storage, _Storage):
            raise WeightsError("a tensor in it has no storage")
        (first,) = _integers([offset])
        plan = _TensorPlan(storage, first, _integers(shape), _integers(strides))
        if len(plan.shape) != len(plan.strides):
            raise WeightsError("a tensor in it has a shape and strides of different lengths")
        return plan

    def __setstate__(self, _state: object) -> None: ...


class _FirstArgument:
    """``torch._utils._rebuild_parameter``: a parameter is its tensor."""

    __slots__ = ()

    def __call__(self, data: object, *_rest: object) -> object:
        return data

    def __setstate__(self, _state: object) -> None: ...


class _StorageType:
    """``torch.FloatStorage`` and its kin: only a name for a dtype."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __setstate__(self, _state: object) -> None: ...


class _Size:
    """``torch.Size``."""

    __slots__ = ()

    def __call__(self, numbers: Any = ()) -> tuple[int, ...]:
        return _integers(numbers)

    def __setstate__(self, _state: object) -> None: ...


class _RestrictedUnpickler(pickle.Unpickler):
    """Resolves only what tensors are made of; remembers the foreign names it passed over."""

    def __init__(self, file: _File) -> None:
        super().__init__(file, encoding="latin1")
        self.foreign: set[str] = set()
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        found = _resolve(module, name)
        if found is _Inert:
            self.foreign.add(f"{module}.{name}")
        return found

    def persistent_load(self, pid: Any) -> _Storage:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise WeightsError(f"it refers to something other than a storage: {str(pid)[:60]}")
        _, kind, key, _location, count = pid[:5]
        if not isinstance(kind, _StorageType) or not isinstance(count, int):
            raise WeightsError("it stores numbers of a kind that is not known")
        storage = _Storage(str(key), kind.dtype, count)
        if len(pid) > 5 and pid[5] is not None:
            raise WeightsError("it was written before torch 0.4 (views of storages); save it anew")
        return self.storages.setdefault(storage.key, storage)


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): lambda: OrderedDict,
    ("torch", "Size"): _Size,
    ("torch._utils", "_rebuild_tensor"): _PlanTensor,
    ("torch._utils", "_rebuild_tensor_v2"): _PlanTensor,
    ("torch._utils", "_rebuild_parameter"): _FirstArgument,
    ("torch._utils", "_rebuild_parameter_with_state"): _FirstArgument,
    ("builtins", "getattr"): _InertAttribute,
    ("__builtin__", "getattr"): _InertAttribute,
}
"""What makes the stand-in for a name; anew each time, so that nothing a file does to it stays."""


def _resolve(module: str, name: str) -> Any:
    if (module, name) in _KNOWN:
        return _KNOWN[module, name]()
    if module in ("torch", "torch.storage") and name in DTYPES:
        return _StorageType(DTYPES[name])
    _refuse_code(module, name)
    return _Inert


def _refuse_code(module: str, name: str) -> None:
    """Refuse names that no checkpoint needs. Others would be inert too; these show intent."""
    if module in ("builtins", "__builtin__"):
        runs_code = name.partition(".")[0] in _CODE_RUNNING_BUILTINS
    else:
        runs_code = module.partition(".")[0] in _CODE_RUNNING_MODULES
    if runs_code:
        raise WeightsError(
            f"it asks for {module}.{name}, which runs code on this machine; "
            "nothing was executed, do not trust this file"
        )


def _load_pickle(file: _File) -> tuple[Any, dict[str, _Storage]]:
    """Check the opcodes of one pickle, then run it restricted; return content and storages."""
    start = file.tell()
    try:
        for operations, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            _refuse_opcode(operations, opcode.name, argument)
            if file.tell() - start > LARGEST_PICKLE:
                raise WeightsError(f"its pickle is longer than {LARGEST_PICKLE} bytes")
    except (ValueError, OverflowError, MemoryError) as error:
        raise WeightsError(f"it is damaged or truncated: {error}") from error
    length = file.tell() - start
    file.seek(start)
    unpickler = _RestrictedUnpickler(io.BytesIO(file.read(length)))
    try:
        content = unpickler.load()
    except WeightsError:
        raise
    except Exception as error:  # a malformed pickle can make the unpickler raise nearly anything
        raise WeightsError(f"its pickle is damaged: {error}") from error
    if unpickler.foreign:
        log.info("left out objects of foreign classes: %s", ", ".join(sorted(unpickler.foreign)))
    return content, unpickler.storages


def _refuse_opcode(operations: int, name: str, argument: Any) -> None:
    if name in _ODD_OPCODES:
        raise WeightsError(f"its pickle uses {name}, which no checkpoint needs")
    if name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > operations:
        raise WeightsError("its pickle claims more objects than it has")


def _read_zip(file: _File) -> Any:
    size = _size(file)
    with _open_zip(file) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise WeightsError(_not_a_torch_archive(archive))
        root = names[0].removesuffix("data.pkl")
        if f"{root}constants.pkl" in archive.namelist():
            raise WeightsError("it is a TorchScript program, not a checkpoint")
        _refuse_bomb(archive, size)
        content, _ = _load_pickle(io.BytesIO(_member(archive, names[0])))
        byte_order = f"{root}byteorder"
        listed = byte_order in archive.namelist()
        big_endian = listed and _member(archive, byte_order).strip() == b"big"

        def read(storage: _Storage) -> Tensor:
            return _numbers(_member(archive, f"{root}data/{storage.key}"), storage, big_endian)

        return _TreeBuilder(read, largest=8 * size + 2**20).build(content)


def _open_zip(file: _File) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError) as error:
        raise WeightsError(f"it is damaged or truncated: {error}") from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except KeyError:
        raise WeightsError(f"it is damaged: the part {name} is missing") from None
    except (
        zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError, OSError,
        NotImplementedError, RuntimeError,
    ) as error:  # fmt: skip
        raise WeightsError(f"it is damaged: the part {name} cannot be read ({error})") from error


def _refuse_bomb(archive: zipfile.ZipFile, size: int) -> None:
    claimed = sum(entry.file_size for entry in archive.infolist())
    if claimed > 20 * size + 2**20:
        raise WeightsError(f"it claims to unpack to {claimed} bytes from {size}; refused")


def _not_a_torch_archive(archive: zipfile.ZipFile) -> str:
    members = [name for name in archive.namelist() if not name.endswith("/")]
    return (
        "it is a zip archive, but not one torch wrote; unpack it and name one of its files: "
        + ", ".join(members[:8])
        + (f" and {len(members) - 8} more" if len(members) > 8 else "")
    )


def _read_legacy(file: _File) -> Any:
    size = _size(file)
    file.seek(0)
    _refuse_other_formats(file.read(512))
    file.seek(0)
    if _load_pickle(file)[0] != MAGIC_NUMBER:
        raise WeightsError("it is a pickle, but not one that torch.save wrote")
    _load_pickle(file)  # protocol version
    system, _ = _load_pickle(file)
    big_endian = isinstance(system, dict) and not system.get("little_endian", True)
    content, storages = _load_pickle(file)
    keys, _ = _load_pickle(file)
    if not isinstance(keys, list) or {str(key) for key in keys} != set(storages):
        raise WeightsError("it is damaged: its list of storages and its tensors do not agree")
    places = _storage_places(file, size, [storages[str(key)] for key in keys], big_endian)

    def read(storage: _Storage) -> Tensor:
        start, length = places[storage.key]
        file.seek(start)
        return _numbers(file.read(length), storage, big_endian)

    return _TreeBuilder(read, largest=8 * size + 2**20).build(content)


def _refuse_other_formats(head: bytes) -> None:
    if head[257:262] == b"ustar":
        raise WeightsError(
            "it is a tar archive, the format of torch before 0.2; nothing in it was read"
        )
    if head.lstrip()[:1] == b"<":
        raise WeightsError("it is a web page, not a checkpoint; the download went wrong")
    if not head.startswith(b"\x80"):
        raise WeightsError("it is neither a zip archive nor a pickle; torch.save did not write it")


def _storage_places(
    file: _File, size: int, storages: list[_Storage], big_endian: bool
) -> dict[str, tuple[int, int]]:
    """Where each storage lies in a legacy file: an int64 count, then the numbers, one by one."""
    position = file.tell()
    places = {}
    for storage in storages:
        file.seek(position)
        count = int.from_bytes(file.read(8), "big" if big_endian else "little", signed=True)
        length = storage.count * storage.dtype.itemsize
        if count != storage.count or position + 8 + length > size:
            raise WeightsError(
                f"it is truncated or damaged: storage {storage.key} should hold {storage.count} "
                f"numbers, and {max(size - position - 8, 0)} bytes are left"
            )
        places[storage.key] = (position + 8, length)
        position += 8 + length
    return places


class _TreeBuilder:
    """Turns what the unpickler made into plain values, each storage read when it is needed."""

    def __init__(self, read: Callable[[_Storage], Tensor], *, largest: int) -> None:
        self.read = read
        self.largest = largest
        self.bytes = 0
        self.entries = 0
        self.tensors: dict[_TensorPlan, Tensor] = {}

    def build(self, value: Any, depth: int = 0) -> Any:
        """Return the plain form of ``value``; foreign objects become ``_Inert``."""
        self.entries += 1
        if depth > DEEPEST_TREE or self.entries > LARGEST_TREE:
            raise WeightsError("it is nested deeper or has more entries than any checkpoint")
        if isinstance(value, _TensorPlan):
            return self.tensor(value)
        if isinstance(value, dict):
            plain = ((key, self.build(item, depth + 1)) for key, item in value.items())
            return {
                key: item
                for key, item in plain
                if isinstance(key, str | int | float) and not _is_foreign(item)
            }
        if isinstance(value, list | tuple | set | frozenset):
            built = [self.build(item, depth + 1) for item in value]
            return [None if _is_foreign(item) else item for item in built]
        return value

    def tensor(self, plan: _TensorPlan) -> Tensor:
        if plan in self.tensors:
            return self.tensors[plan]
        count = math.prod(plan.shape)
        last = plan.offset + sum(
            (side - 1) * stride for side, stride in zip(plan.shape, plan.strides, strict=True)
        )
        negative = min((plan.offset, *plan.shape, *plan.strides)) < 0
        if negative or (count and (last >= plan.storage.count or count > plan.storage.count)):
            raise WeightsError(f"a tensor of shape {plan.shape} does not lie inside its storage")
        self.bytes += count * plan.storage.dtype.itemsize
        if self.bytes > self.largest:
            raise WeightsError("its tensors would take many times the size of the file; refused")
        if count:
            flat = self.read(plan.storage)
            tensor = flat.as_strided(plan.shape, plan.strides, plan.offset).clone(
                memory_format=torch.contiguous_format
            )
        else:
            tensor = torch.empty(plan.shape, dtype=plan.storage.dtype)
        self.tensors[plan] = tensor
        return tensor


def _is_foreign(value: object) -> bool:
    plain = (Tensor, dict, list, str, bytes, int, float, type(None))  # bool is an int
    return not isinstance(value, plain)


def _numbers(raw: bytes, storage: _Storage, big_endian: bool) -> Tensor:
    """Interpret the bytes of one storage."""
    expected = storage.count * storage.dtype.itemsize
    if len(raw) != expected:
        raise WeightsError(
            f"it is damaged: storage {storage.key} has {len(raw)} bytes and should have {expected}"
        )
    content = bytearray(raw)
    if big_endian and storage.dtype.itemsize > 1:
        content = bytearray(
            np.frombuffer(content, dtype=f"u{storage.dtype.itemsize}").byteswap().tobytes()
        )
    if storage.dtype == torch.bool:
        return torch.frombuffer(content, dtype=torch.uint8) != 0
    return torch.frombuffer(content, dtype=storage.dtype)


def _integers(numbers: Any) -> tuple[int, ...]:
    if not isinstance(numbers, tuple | list) or not all(isinstance(n, int) for n in numbers):
        raise WeightsError("the shape of a tensor in it is not a list of integers")
    return tuple(numbers)


def _size(file: _File) -> int:
    return file.seek(0, io.SEEK_END)
