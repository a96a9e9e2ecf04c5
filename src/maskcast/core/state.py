"""Save and load the state of any segmenter as safetensors and JSON, without executable content.

A state is a frozen dataclass of tensors, numbers, strings, None, tuples, mappings with keys of
type str or int, and further such dataclasses. A loaded state gives bit-identical results:

* strides are kept, because the memory format (channels_last) selects the kernel;
* alignment is kept, because it determines where vectorised loops begin;
* tensors that share memory share it again, so states with a growing memory stay small.

A checksum tells whether a file has changed since.

A file holds byte blocks ``0``, ``1``, …. Each is the span of memory of one tensor, or of several
overlapping ones. JSON in the header says where each tensor lies and how the value is composed.
Fields with ``init=False`` are derived and not saved.

Names of classes and fields are part of this file format: renaming or removing one makes saved
states unreadable (``tests/contract/test_state_names.py`` pins them). A new field needs a default,
which is used for older files that lack the field.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import torch
from jaxtyping import UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from maskcast.core.errors import MissingFileError, OutputError, StateError
from maskcast.core.files import replacing
from maskcast.core.segmenter import VideoSegmenter
from maskcast.core.strict_json import parse_json
from maskcast.core.surroundings import own_surroundings

State = TypeVar("State")
Tree = Any
"""A JSON value."""

ALIGNMENT = 64
"""Alignment of torch's allocations in bytes; no vector register is wider."""
FORMAT = 1
STATE, DIGEST, CHECKSUM = "maskcast.state", "maskcast.digest", "maskcast.checksum"
"""Keys of the metadata in the header of a file."""
_UNREADABLE = (
    *(SafetensorError, OSError, MemoryError, RuntimeError, OverflowError),
    *(LookupError, TypeError, ValueError, AttributeError, AssertionError),
)
"""Exceptions that damaged or edited states raise."""
ON_HOST = MappingProxyType({"on_host": True})
"""Metadata of a field whose tensors always stay in main memory, such as states of random
generators: ``random: Tensor = field(metadata=ON_HOST)``."""
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in vars(torch).values()
    if isinstance(dtype, torch.dtype)
}


def save_state(state: Any, path: Path | str, *, digest: str | None = None) -> None:
    """Write a state to one file, atomically and safe against power failures.

    Args:
        state: the state of any segmenter.
        path: the file; its folder is created if missing.
        digest: text that identifies how the state was reached; ``state_digest`` reads it back.

    Raises:
        TypeError: the state contains an object of an unsupported type (see the module docstring).
        OutputError: the file cannot be written.
    """
    path = Path(path)
    tensors: list[_StoredTensor] = []
    tree = _encode(state, tensors, on_host=False)
    blocks = _blocks(tensors)
    header = {"format": FORMAT, "value": tree, "blocks": [block.entry() for block in blocks]}
    content = {str(number): block.content() for number, block in enumerate(blocks)}
    metadata = {STATE: json.dumps(header)} | ({} if digest is None else {DIGEST: digest})
    metadata[CHECKSUM] = _checksum(metadata[STATE], content)
    with replacing(path, sync=True) as temporary:
        try:
            save_file(content, temporary, metadata=metadata)
        except SafetensorError as error:  # wraps the errors of the file system
            raise OutputError(f"cannot write {path}: {error}") from error


def load_state(
    path: Path | str,
    expected: VideoSegmenter[State] | type[State],
    *,
    device: torch.device | str | None = None,
) -> State:
    """Load a state that ``save_state`` has written.

    Args:
        path: the file.
        expected: the segmenter that continues from the state, or the class of the state; nested
            classes are found by its type hints alone.
        device: device for the tensors; default: the device that they were saved from. If the state
            came from an accelerator, tensors that were in main memory stay there, and so do fields
            with ``ON_HOST``.

    Raises:
        MissingFileError: the file does not exist.
        StateError: the file is damaged, or is not a state of this class.
    """
    path = Path(path)
    kind = expected if isinstance(expected, type) else type(expected.start())
    if not path.is_file():
        raise MissingFileError(f"saved state {path} does not exist")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            header = parse_json(metadata[STATE], non_finite=True)
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get(CHECKSUM, "") not in ("", _checksum(metadata[STATE], stored)):
            raise StateError("its content has changed since it was saved")
        if header["format"] != FORMAT:
            raise StateError(
                f"{path} has state format {header['format']} but this version reads {FORMAT}"
            )
        with own_surroundings():
            tensors = _restored(header["blocks"], stored, device)
            value = _decode(header["value"], kind, tensors)
    except _UNREADABLE as error:
        if isinstance(error, StateError):
            raise StateError(f"{path}: {error}") from error
        raise StateError(f"cannot read the saved state {path}: {error}") from error
    if not isinstance(value, kind):
        raise StateError(f"{path} holds {type(value).__name__}, expected {kind.__name__}")
    return value


def _checksum(header: str, content: Mapping[str, Tensor]) -> str:
    """Return a CRC-32 of a state; files of version 0.1 have none."""
    checksum = zlib.crc32(header.encode())
    for name in sorted(content, key=int):
        checksum = zlib.crc32(content[name].numpy().data, checksum)
    return f"{checksum:08x}"


def state_digest(path: Path) -> str | None:
    """Return the digest that a state was saved with; None if it has none or is damaged."""
    try:
        with safe_open(path, "pt") as file:
            digest: str | None = (file.metadata() or {}).get(DIGEST)
            return digest
    except (OSError, SafetensorError, ValueError):
        return None


@dataclass(frozen=True)
class _StoredTensor:
    """A tensor of a state, and the memory it spans."""

    tensor: Tensor
    on_host: bool

    @property
    def start(self) -> int:
        return self.tensor.data_ptr()

    @property
    def end(self) -> int:
        if self.tensor.numel() == 0:
            return self.start
        steps = zip(self.tensor.shape, self.tensor.stride(), strict=True)
        last = sum((length - 1) * stride for length, stride in steps)
        return self.start + (last + 1) * self.tensor.itemsize


@dataclass(frozen=True)
class _Block:
    """A span of memory, and the tensors in it with their numbers."""

    start: int
    end: int
    members: tuple[tuple[int, _StoredTensor], ...]

    def entry(self) -> Tree:
        return {
            "lead": self.start % ALIGNMENT,
            "device": self.members[0][1].tensor.device.type,
            "on_host": any(stored.on_host for _, stored in self.members),
            "tensors": [
                {
                    "number": number,
                    "offset": stored.start - self.start,
                    "dtype": str(stored.tensor.dtype).removeprefix("torch."),
                    "shape": list(stored.tensor.shape),
                    "stride": list(stored.tensor.stride()),
                }
                for number, stored in self.members
            ],
        }

    def content(self) -> UInt8[Tensor, "bytes"]:
        """Return the bytes of the span; those of an accelerator are copied to main memory."""
        view = torch.empty(0, dtype=torch.uint8, device=self.members[0][1].tensor.device)
        if self.start < self.end:  # an empty tensor has no address
            storage = self.members[0][1].tensor.untyped_storage()
            view.set_(storage, self.start - storage.data_ptr(), (self.end - self.start,), (1,))
        return view.cpu()


def _blocks(tensors: list[_StoredTensor]) -> list[_Block]:
    """Group tensors whose memory overlaps."""
    numbered = sorted(
        enumerate(tensors), key=lambda entry: (str(entry[1].tensor.device), entry[1].start)
    )
    blocks: list[_Block] = []
    for number, tensor in numbered:
        member = (number, tensor)
        last = blocks[-1] if blocks else None
        if last and tensor.start < last.end and _same_storage(last.members[0][1], tensor):
            end = max(last.end, tensor.end)
            blocks[-1] = _Block(last.start, end, (*last.members, member))
        else:
            blocks.append(_Block(tensor.start, tensor.end, (member,)))
    return blocks


def _same_storage(one: _StoredTensor, other: _StoredTensor) -> bool:
    pointers = [stored.tensor.untyped_storage().data_ptr() for stored in (one, other)]
    return one.tensor.device == other.tensor.device and pointers[0] == pointers[1]


def _restored(
    entries: list[Tree], stored: Mapping[str, Tensor], device: torch.device | str | None
) -> dict[int, Tensor]:
    """Allocate memory for the blocks, and return the tensors in it by number."""
    on_accelerator = any(entry["device"] != "cpu" for entry in entries)
    tensors: dict[int, Tensor] = {}
    for name, entry in enumerate(entries):
        stays = entry["on_host"] or (on_accelerator and entry["device"] == "cpu")
        target = "cpu" if stays else (device or entry["device"])
        content, lead = stored[str(name)], int(entry["lead"])
        memory = torch.empty(lead + content.numel(), dtype=torch.uint8, device=target)
        memory[lead:].copy_(content)
        for layout in entry["tensors"]:
            tensors[layout["number"]] = _laid_over(memory, lead, layout)
    return tensors


def _laid_over(memory: UInt8[Tensor, "bytes"], lead: int, layout: Tree) -> Tensor:
    tensor = torch.empty(0, dtype=_DTYPES[layout["dtype"]], device=memory.device)
    shape, stride, start = layout["shape"], layout["stride"], lead + layout["offset"]
    steps = list(zip(shape, stride, strict=True))
    if any(length < 0 or step < 0 for length, step in steps) or start < 0:
        raise ValueError("a tensor has a negative size or offset")
    last = sum((length - 1) * step for length, step in steps)
    end = start + (last + 1) * tensor.itemsize
    if 0 not in shape and end > memory.numel():
        raise ValueError("a tensor extends beyond its block")
    if start % tensor.itemsize:
        raise ValueError("a tensor is not aligned to its item size")
    if 0 in shape:
        return torch.empty_strided(shape, stride, dtype=tensor.dtype, device=memory.device)
    return tensor.set_(memory.untyped_storage(), start // tensor.itemsize, shape, stride)


def _encode(value: Any, tensors: list[_StoredTensor], *, on_host: bool) -> Tree:
    if isinstance(value, Tensor):
        if value.layout != torch.strided or value.is_quantized:
            raise TypeError(f"the tensors of a state must be dense, got layout {value.layout}")
        tensors.append(_StoredTensor(value.detach().resolve_conj().resolve_neg(), on_host))
        return {"tensor": len(tensors) - 1}
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is tuple:
        return [_encode(item, tensors, on_host=on_host) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            field.name: _encode(
                getattr(value, field.name),
                tensors,
                on_host=on_host or field.metadata.get("on_host", False),
            )
            for field in dataclasses.fields(value)
            if field.init
        }
        return {"class": type(value).__name__, "fields": fields}
    if isinstance(value, Mapping) and all(type(key) in (int, str) for key in value):
        items = [[key, _encode(item, tensors, on_host=on_host)] for key, item in value.items()]
        return {"mapping": items}
    raise TypeError(
        f"cannot save {type(value).__name__} in a state; use frozen dataclasses, tensors, "
        "numbers, strings, None, tuples and mappings with keys of str or int"
    )


def _decode(tree: Tree, hint: Any, tensors: Mapping[int, Tensor]) -> Any:
    if isinstance(tree, list):
        kinds = _item_hints(hint, len(tree))
        return tuple(_decode(item, kind, tensors) for item, kind in zip(tree, kinds, strict=True))
    if not isinstance(tree, dict):
        return tree
    if "tensor" in tree:
        return tensors[tree["tensor"]]
    if "mapping" in tree:
        kind = _value_hint(hint)
        return {key: _decode(item, kind, tensors) for key, item in tree["mapping"]}
    kind = _class_named(tree["class"], hint)
    hints = get_type_hints(kind)
    known = {field.name: field for field in dataclasses.fields(kind) if field.init}
    needed = {name for name, field in known.items() if not _has_default(field)}
    if not needed <= set(tree["fields"]) <= set(known):
        raise StateError(
            f"{kind.__name__} has the fields {', '.join(sorted(known))}, "
            f"but the file has {', '.join(sorted(tree['fields']))}"
        )
    values = {name: _decode(item, hints[name], tensors) for name, item in tree["fields"].items()}
    return kind(**values)


def _has_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def _class_named(name: str, hint: Any) -> Any:
    kinds = [get_origin(kind) or kind for kind in _alternatives(hint)]
    for kind in kinds:
        if dataclasses.is_dataclass(kind) and getattr(kind, "__name__", "") == name:
            return kind
    expected = " or ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
    raise StateError(f"found {name} where {expected} was expected")


def _item_hints(hint: Any, count: int) -> tuple[Any, ...]:
    for kind in _alternatives(hint):
        arguments = get_args(kind)
        if get_origin(kind) is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
            return (arguments[0],) * count
        if get_origin(kind) is tuple and len(arguments) == count:
            return arguments
        if get_origin(kind) is Sequence:
            return arguments * count
    return (Any,) * count


def _value_hint(hint: Any) -> Any:
    for kind in _alternatives(hint):
        if get_origin(kind) in (dict, Mapping):
            return get_args(kind)[1]
    return Any


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
