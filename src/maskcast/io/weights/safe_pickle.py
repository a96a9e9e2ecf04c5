"""Interpret untrusted pickles without executing code.

The unpickler resolves four kinds of names: ordered dictionaries, tensors, storages and sizes. It
returns tensors as plans, because their numbers lie elsewhere in the file. Every other name becomes
an inert stub; a file with names that only serve to run code is rejected.

Files that would take far more work or memory than their size are rejected too: a few bytes can
request the hash of a key that contains itself 10⁹ times, or that is nested so deeply that hashing
crashes the process.
"""

from __future__ import annotations

import io
import logging
import pickle
import pickletools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from maskcast.core.errors import WeightsError

log = logging.getLogger(__name__)

LARGEST_PICKLE = 2**28
"""Maximum length of a pickle in bytes, without the storages."""
MOST_OPERATIONS = 2**23
"""Maximum number of operations in a pickle; the state of an optimiser takes about 100,000."""
LARGEST_KEY = 64
"""Maximum number of values in a dictionary key or set element, which are hashed."""
LARGEST_COUNT = 2**48
"""Maximum number of elements of a storage, and maximum side, stride and offset of a tensor."""
MOST_DIMENSIONS = 64
"""Maximum number of dimensions of a tensor."""

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


class _Stateless:
    """Ignores the state that a file sets on an object."""

    __slots__ = ()

    def __setstate__(self, _state: object) -> None: ...


@dataclass(frozen=True)
class Storage(_Stateless):
    """A block of numbers in the file."""

    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True)
class TensorPlan(_Stateless):
    """The layout of a tensor whose storage has not been read; all counts are in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Inert(_Stateless):
    """Replaces an object of an unknown class: accepts every call and does nothing."""

    def __new__(cls, *_args: object, **_named: object) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_args: object, **_named: object) -> None: ...

    def __setitem__(self, _key: object, _value: object) -> None: ...

    def append(self, _item: object) -> None: ...

    def extend(self, _items: object) -> None: ...

    def add(self, _item: object) -> None: ...

    def update(self, *_args: object, **_named: object) -> None: ...

    def __hash__(self) -> int:
        return id(self)


class _InertAttribute(_Stateless):
    """Replaces ``getattr``, by which older pickles name nested classes and methods, by a stub."""

    __slots__ = ()

    def __call__(self, *_args: object) -> type[_Inert]:
        return _Inert


class _PlanTensor(_Stateless):
    """Replaces ``torch._utils._rebuild_tensor`` and its later version; returns a plan."""

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
            raise WeightsError("damaged: a tensor has no storage")
        (first,) = _integers([offset])
        plan = TensorPlan(storage, first, _integers(shape), _integers(strides))
        if len(plan.shape) != len(plan.strides):
            raise WeightsError("damaged: the shape and the strides of a tensor differ in length")
        return plan


class _FirstArgument(_Stateless):
    """Replaces ``torch._utils._rebuild_parameter``; returns the parameter's tensor."""

    __slots__ = ()

    def __call__(self, data: object, *_rest: object) -> object:
        return data


class _StorageType(_Stateless):
    """Replaces ``torch.FloatStorage`` and similar classes, which only name a dtype."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class _Size(_Stateless):
    """Replaces ``torch.Size``."""

    __slots__ = ()

    def __call__(self, numbers: Any = ()) -> tuple[int, ...]:
        return _integers(numbers)


class _Dictionary(dict[Any, Any], _Stateless):
    """Replaces ``collections.OrderedDict``, created from pairs or filled later."""

    def __init__(self, pairs: Any = ()) -> None:
        pairs = list(pairs)
        _reject_heavy(key for key, _ in pairs)
        super().__init__(pairs)


_HASHED = {
    pickle.SETITEM: slice(-2, -1),
    pickle.SETITEMS: slice(None, None, 2),
    pickle.DICT: slice(None, None, 2),
    pickle.ADDITEMS: slice(None),
    pickle.FROZENSET: slice(None),
}
"""Operations that hash values, and the slices of the stack that hold these values."""


def _checking(hashed: slice, operation: Callable[[Any], None]) -> Callable[[Any], None]:
    def checked(unpickler: Any) -> None:
        _reject_heavy(unpickler.stack[hashed])
        operation(unpickler)

    return checked


class _RestrictedUnpickler(pickle._Unpickler):  # in Python, so that operations can be checked
    """Resolves only names that tensors need, and records the other names."""

    dispatch = pickle._Unpickler.dispatch | {
        opcode[0]: _checking(hashed, pickle._Unpickler.dispatch[opcode[0]])
        for opcode, hashed in _HASHED.items()
    }

    def __init__(self, file: File) -> None:
        super().__init__(file, encoding="latin1")
        self.foreign: set[str] = set()
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        resolved = _resolve(module, name)
        if resolved is _Inert:
            self.foreign.add(f"{module}.{name}")
        return resolved

    def persistent_load(self, pid: Any) -> Storage:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise WeightsError("unsupported: a persistent id that is not a storage")
        _, kind, key, _location, count = pid[:5]
        if not isinstance(kind, _StorageType) or not isinstance(key, str | int):
            raise WeightsError("unsupported: a storage of an unknown dtype")
        _integers([count])
        storage = Storage(str(key), kind.dtype, count)
        if len(pid) > 5 and pid[5] is not None:
            raise WeightsError(
                "files written before PyTorch 0.4 are not supported; save it with a newer version"
            )
        return self.storages.setdefault(storage.key, storage)


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): lambda: _Dictionary,
    ("torch", "Size"): _Size,
    ("torch._utils", "_rebuild_tensor"): _PlanTensor,
    ("torch._utils", "_rebuild_tensor_v2"): _PlanTensor,
    ("torch._utils", "_rebuild_parameter"): _FirstArgument,
    ("torch._utils", "_rebuild_parameter_with_state"): _FirstArgument,
    ("builtins", "getattr"): _InertAttribute,
    ("__builtin__", "getattr"): _InertAttribute,
}
"""Factories of the replacements for names; a new one each time, so that no file can alter them."""


def _resolve(module: str, name: str) -> Any:
    if (module, name) in _KNOWN:
        return _KNOWN[module, name]()
    if module in ("torch", "torch.storage") and name in DTYPES:
        return _StorageType(DTYPES[name])
    _reject_code(module, name)
    return _Inert


def _reject_code(module: str, name: str) -> None:
    """Reject names that only serve to run code. They would be inert too, but they show intent."""
    if module in ("builtins", "__builtin__"):
        runs_code = name.partition(".")[0] in _CODE_RUNNING_BUILTINS
    else:
        runs_code = module.partition(".")[0] in _CODE_RUNNING_MODULES
    if runs_code:
        raise WeightsError(
            f"rejected: it asks for {module}.{name}, which runs code on this machine; nothing was "
            "executed, do not trust this file"
        )


def load_pickle(file: File) -> tuple[Any, dict[str, Storage]]:
    """Check the opcodes of one pickle, then interpret it; return its content and storages.

    Raises:
        WeightsError: the pickle is damaged, tries to run code, or needs too much work or memory.
    """
    start = file.tell()
    try:
        for operations, (opcode, _, _) in enumerate(pickletools.genops(file)):
            if opcode.name in _ODD_OPCODES:
                raise WeightsError(
                    f"rejected: the pickle uses {opcode.name}, which no checkpoint needs"
                )
            if operations > MOST_OPERATIONS:
                raise WeightsError(f"rejected: the pickle has more than {MOST_OPERATIONS} steps")
            if file.tell() - start > LARGEST_PICKLE:
                raise WeightsError(f"rejected: the pickle is longer than {LARGEST_PICKLE} bytes")
    except (ValueError, OverflowError, MemoryError) as error:
        raise WeightsError(f"damaged or truncated: {error}") from error
    length = file.tell() - start
    file.seek(start)
    unpickler = _RestrictedUnpickler(io.BytesIO(file.read(length)))
    try:
        content = unpickler.load()
    except WeightsError:
        raise
    except Exception as error:  # a malformed pickle can make the unpickler raise nearly anything
        raise WeightsError(f"damaged pickle: {error}") from error
    if unpickler.foreign:
        log.info("skipped objects of unknown classes: %s", ", ".join(sorted(unpickler.foreign)))
    return content, unpickler.storages


def _reject_heavy(keys: Iterable[object]) -> None:
    if any(_weight(key) > LARGEST_KEY for key in keys):
        raise WeightsError(
            "rejected: a dictionary key is nested deeper, or is larger, than any checkpoint needs"
        )


def _weight(key: object, so_far: int = 0) -> int:
    """Count the values in a key as often as hashing visits them; stop when there are too many."""
    if isinstance(key, int) and abs(key) >= LARGEST_COUNT:  # many such integers can share a hash
        return LARGEST_KEY + 1
    so_far += 1
    if isinstance(key, tuple | frozenset):
        for part in key:
            if so_far > LARGEST_KEY:
                break
            so_far = _weight(part, so_far)
    return so_far


def _integers(numbers: Any) -> tuple[int, ...]:
    """Return numbers as a tuple; raise ``WeightsError`` if they cannot be sizes of a tensor."""
    fit = (
        isinstance(numbers, tuple | list)
        and len(numbers) <= MOST_DIMENSIONS
        and all(type(n) is int and abs(n) <= LARGEST_COUNT for n in numbers)
    )
    if not fit:
        raise WeightsError(
            "damaged: the size of a tensor is not an integer, or larger than that of any tensor"
        )
    return tuple(numbers)
