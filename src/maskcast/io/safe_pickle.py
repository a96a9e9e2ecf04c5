"""Run the pickles of strangers without letting them do anything.

The unpickler knows four kinds of names: ordered dictionaries, tensors, storages, sizes. Tensors
come out as plans, since their numbers lie elsewhere in the file. Every other name becomes an inert
stub, and names that can only be there to run code refuse the file.
"""

from __future__ import annotations

import io
import logging
import pickle
import pickletools
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from maskcast.core.errors import WeightsError

log = logging.getLogger(__name__)

LARGEST_PICKLE = 2**28
"""Bytes of the pickles alone, without the storages."""

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

File: TypeAlias = io.BufferedReader | io.BytesIO

# fmt: off
_CODE_RUNNING_MODULES = frozenset((
    "os", "posix", "nt", "subprocess", "_posixsubprocess", "sys", "shutil", "socket", "runpy",
    "importlib", "pty", "ctypes", "code", "pdb", "timeit", "webbrowser", "marshal", "commands",
))
_CODE_RUNNING_BUILTINS = frozenset((
    "eval", "exec", "compile", "execfile", "open", "file", "input", "breakpoint", "apply",
    "__import__",
))
# fmt: on
_ODD_OPCODES = frozenset(("EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"))


@dataclass(frozen=True)
class Storage:
    """A run of numbers somewhere in the file."""

    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True)
class TensorPlan:
    """What a tensor will look like once its storage is read; all counts in elements."""

    storage: Storage
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
    ) -> TensorPlan:
        if not isinstance(storage, Storage):
            raise WeightsError("a tensor in it has no storage")
        (first,) = _integers([offset])
        plan = TensorPlan(storage, first, _integers(shape), _integers(strides))
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

    def __init__(self, file: File) -> None:
        super().__init__(file, encoding="latin1")
        self.foreign: set[str] = set()
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        found = _resolve(module, name)
        if found is _Inert:
            self.foreign.add(f"{module}.{name}")
        return found

    def persistent_load(self, pid: Any) -> Storage:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise WeightsError(f"it refers to something other than a storage: {str(pid)[:60]}")
        _, kind, key, _location, count = pid[:5]
        if not isinstance(kind, _StorageType) or not isinstance(count, int):
            raise WeightsError("it stores numbers of a kind that is not known")
        storage = Storage(str(key), kind.dtype, count)
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


def load_pickle(file: File) -> tuple[Any, dict[str, Storage]]:
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


def _integers(numbers: Any) -> tuple[int, ...]:
    if not isinstance(numbers, tuple | list) or not all(isinstance(n, int) for n in numbers):
        raise WeightsError("the shape of a tensor in it is not a list of integers")
    return tuple(numbers)
