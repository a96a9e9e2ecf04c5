"""Read untrusted torch files without executing code in them.

A torch file is a pickle, and a pickle is a program; ``io.weights.safe_pickle`` interprets it in a
restricted way. Both serialisations are read here, without torch.load:

    zip      ``NAME/data.pkl`` and one file per storage, ``NAME/data/KEY``
    legacy   five pickles (magic number, version, system, content, storage keys), then the storages
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from maskcast.core.errors import MissingFileError, WeightsError
from maskcast.io.archives import COMPRESSIONS, unpacked
from maskcast.io.weights.files import check_tensors
from maskcast.io.weights.safe_pickle import File, Storage, TensorPlan, load_pickle

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
DEEPEST_TREE = 64
"""Maximum nesting of the tree."""
LARGEST_TREE = 2_000_000
"""Maximum number of entries in the whole tree; the state of an optimiser has about 10,000."""


def read_foreign_checkpoint(path: Path) -> dict[str, Any]:
    """Read an untrusted torch file as a tree of dicts, lists, tensors, numbers and strings.

    Nothing in the file is executed, and no module that it names is imported. Objects of unknown
    classes are dropped: dictionary entries disappear, list items become ``None``. Tensors are on
    the CPU and contiguous.

    Raises:
        MissingFileError: the file does not exist.
        WeightsError: the file is truncated, is not a torch file, tries to run code, or would take
            far more memory than its size.
    """
    if not path.is_file():
        raise MissingFileError(f"checkpoint {path} does not exist")
    try:
        with path.open("rb") as file:
            is_zip = file.read(4) == b"PK\x03\x04"
            tree = _read_zip(file) if is_zip else _read_legacy(file)
    except WeightsError as error:
        raise WeightsError(f"{path.name}: {error.summary}") from error
    if not isinstance(tree, dict):
        raise WeightsError(
            f"{path.name} contains a {type(tree).__name__}, but a checkpoint is a dictionary"
        )
    return tree


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a network by name, such as those of a pretrained trunk.

    Args:
        path: a safetensors file, or a torch file with the tensors at its top level or in ``model``.

    Raises:
        MissingFileError: the file does not exist.
        WeightsError: the file cannot be read, contains no tensors, or has one that
            ``check_tensors`` rejects.
    """
    if path.suffix == ".safetensors":
        if not path.is_file():
            raise MissingFileError(f"{path} does not exist")
        try:
            tensors = load_file(path)
        except SafetensorError as error:
            raise WeightsError(f"cannot read {path}: {error}") from error
    else:
        tree = read_foreign_checkpoint(path)
        inner = tree.get("model")
        named = inner if isinstance(inner, dict) else tree
        tensors = {name: value for name, value in named.items() if isinstance(value, Tensor)}
    if not tensors:
        raise WeightsError(f"{path} contains no state dict; give a file that maps names to tensors")
    check_tensors(tensors, str(path))
    return tensors


def _read_zip(file: File) -> Any:
    size = _size(file)
    with _open_zip(file) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise WeightsError(_not_a_torch_archive(archive))
        root = names[0].removesuffix("data.pkl")
        if f"{root}constants.pkl" in archive.namelist():
            raise WeightsError(
                "TorchScript programs are not supported; give a file that torch.save wrote"
            )
        _reject_bomb(archive, size)
        content, _ = load_pickle(io.BytesIO(_member(archive, names[0])))
        byte_order = f"{root}byteorder"
        listed = byte_order in archive.namelist()
        big_endian = listed and _member(archive, byte_order).strip() == b"big"

        def read(storage: Storage) -> Tensor:
            return _numbers(_member(archive, f"{root}data/{storage.key}"), storage, big_endian)

        return _TreeBuilder(read, largest=8 * size + 2**20).build(content)


def _open_zip(file: File) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError) as error:
        raise WeightsError(f"damaged or truncated archive: {error}") from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return unpacked(archive, name)
    except KeyError:
        raise WeightsError(f"damaged archive: the entry {name} is missing") from None
    except (
        zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError, OSError,
        NotImplementedError, RuntimeError,
    ) as error:  # fmt: skip
        raise WeightsError(f"damaged archive: cannot read the entry {name} ({error})") from error


def _reject_bomb(archive: zipfile.ZipFile, size: int) -> None:
    """Reject archives that unpack to many times their size or use an unexpected compression."""
    if {entry.compress_type for entry in archive.infolist()} - COMPRESSIONS:
        raise WeightsError("rejected: the archive uses a compression that PyTorch does not use")
    claimed = sum(entry.file_size for entry in archive.infolist())
    if claimed > 20 * size + 2**20:
        raise WeightsError(f"rejected: {size} bytes that claim to unpack to {claimed} bytes")


def _not_a_torch_archive(archive: zipfile.ZipFile) -> str:
    members = [name for name in archive.namelist() if not name.endswith("/")]
    return (
        "the ZIP archive was not written by PyTorch; unpack it and give one of its files: "
        + ", ".join(members[:8])
        + (f" and {len(members) - 8} more" if len(members) > 8 else "")
    )


def _read_legacy(file: File) -> Any:
    size = _size(file)
    file.seek(0)
    _reject_other_formats(file.read(512))
    file.seek(0)
    if load_pickle(file)[0] != MAGIC_NUMBER:
        raise WeightsError("the pickle was not written by torch.save")
    load_pickle(file)  # protocol version
    system, _ = load_pickle(file)
    big_endian = isinstance(system, dict) and not system.get("little_endian", True)
    content, storages = load_pickle(file)
    keys, _ = load_pickle(file)
    if not isinstance(keys, list) or {str(key) for key in keys} != set(storages):
        raise WeightsError("damaged: the list of storages does not match the tensors")
    spans = _storage_spans(file, size, [storages[str(key)] for key in keys], big_endian)

    def read(storage: Storage) -> Tensor:
        start, length = spans[storage.key]
        file.seek(start)
        return _numbers(file.read(length), storage, big_endian)

    return _TreeBuilder(read, largest=8 * size + 2**20).build(content)


def _reject_other_formats(head: bytes) -> None:
    if head[257:262] == b"ustar":
        raise WeightsError(
            "tar archives, the format of PyTorch before 0.2, are not supported; nothing was read"
        )
    if head.lstrip()[:1] == b"<":
        raise WeightsError("the file is a web page, not a checkpoint; download it again")
    if head[8:9] == b"{":  # after the length of the header
        raise WeightsError("a safetensors file needs no import; give its path as the weights")
    if not head.startswith(b"\x80"):
        raise WeightsError("neither a ZIP archive nor a pickle; give a file that torch.save wrote")


def _storage_spans(
    file: File, size: int, storages: list[Storage], big_endian: bool
) -> dict[str, tuple[int, int]]:
    """Return the offset and length in bytes of each storage in a legacy file.

    The storages follow one another, each as an int64 count and the numbers.
    """
    position = file.tell()
    spans = {}
    for storage in storages:
        file.seek(position)
        count = int.from_bytes(file.read(8), "big" if big_endian else "little", signed=True)
        length = storage.count * storage.dtype.itemsize
        if count != storage.count or position + 8 + length > size:
            raise WeightsError(
                f"truncated or damaged: storage {storage.key} should have {storage.count} numbers, "
                f"but {max(size - position - 8, 0)} bytes are left"
            )
        spans[storage.key] = (position + 8, length)
        position += 8 + length
    return spans


class _TreeBuilder:
    """Turns the unpickler's result into plain values, reading each storage when it is needed."""

    def __init__(self, read: Callable[[Storage], Tensor], *, largest: int) -> None:
        self.read = read
        self.largest = largest
        self.bytes = 0
        """Bytes read and allocated so far; a storage may be read again for each of its tensors."""
        self.entries = 0
        self.newest: tuple[Storage, Tensor] | None = None
        self.tensors: dict[TensorPlan, Tensor] = {}

    def build(self, value: Any, depth: int = 0) -> Any:
        """Return ``value`` with plans replaced by tensors and objects of unknown classes dropped.

        Raises:
            WeightsError: the tree is too deep or too large.
        """
        self.entries += 1
        if depth > DEEPEST_TREE or self.entries > LARGEST_TREE:
            raise WeightsError("rejected: nested deeper, or with more entries, than any checkpoint")
        if isinstance(value, TensorPlan):
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

    def tensor(self, plan: TensorPlan) -> Tensor:
        if plan in self.tensors:
            return self.tensors[plan]
        count = math.prod(plan.shape)
        last = plan.offset + sum(
            (side - 1) * stride for side, stride in zip(plan.shape, plan.strides, strict=True)
        )
        negative = min((plan.offset, *plan.shape, *plan.strides)) < 0
        if negative or (count and (last >= plan.storage.count or count > plan.storage.count)):
            raise WeightsError(
                f"invalid tensor of shape {plan.shape}: it extends beyond its storage"
            )
        self.spend(count * plan.storage.dtype.itemsize)
        try:
            if count:
                window = self.numbers(plan.storage).as_strided(
                    plan.shape, plan.strides, plan.offset
                )
                tensor = window.clone(memory_format=torch.contiguous_format)
            else:
                tensor = torch.empty(plan.shape, dtype=plan.storage.dtype)
        except RuntimeError as error:
            raise WeightsError(f"invalid tensor of shape {plan.shape}: {error}") from error
        self.tensors[plan] = tensor
        return tensor

    def numbers(self, storage: Storage) -> Tensor:
        if self.newest is None or self.newest[0] != storage:
            self.spend(storage.count * storage.dtype.itemsize)
            self.newest = storage, self.read(storage)
        return self.newest[1]

    def spend(self, size: int) -> None:
        self.bytes += size
        if self.bytes > self.largest:
            raise WeightsError("rejected: the tensors would take many times the size of the file")


def _is_foreign(value: object) -> bool:
    plain = (Tensor, dict, list, str, bytes, int, float, type(None))  # bool is an int
    return not isinstance(value, plain)


def _numbers(raw: bytes, storage: Storage, big_endian: bool) -> Tensor:
    """Interpret the bytes of one storage."""
    expected = storage.count * storage.dtype.itemsize
    if len(raw) != expected:
        raise WeightsError(
            f"damaged: storage {storage.key} has {len(raw)} bytes, expected {expected}"
        )
    content = bytearray(raw)
    if big_endian and storage.dtype.itemsize > 1:
        content = bytearray(
            np.frombuffer(content, dtype=f"u{storage.dtype.itemsize}").byteswap().tobytes()
        )
    if storage.dtype == torch.bool:
        return torch.frombuffer(content, dtype=torch.uint8) != 0
    return torch.frombuffer(content, dtype=storage.dtype)


def _size(file: File) -> int:
    return file.seek(0, io.SEEK_END)
