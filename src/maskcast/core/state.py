"""Save and load the state of any segmenter: safetensors and JSON, nothing that can be executed.

A state is a frozen dataclass of tensors, numbers, strings, None, tuples, mappings with keys of
text or whole numbers, and further such dataclasses. What is loaded continues to the same bits:

* strides are kept, because memory format (channels_last) chooses the kernel;
* alignment is kept, because it decides where vectorised loops begin;
* tensors which share memory share it again: states of a growing memory stay small.

A file holds byte blocks ``0``, ``1``, …: each is the span of memory that one tensor occupies, or
several overlapping ones. JSON in the header says which tensor lies where, and how the value is
put together. Fields with ``init=False`` are derived, and not saved.

Names of classes and fields are part of this file format: renaming or removing one makes saved
states unreadable (``tests/contract/test_state_names.py`` pins them). A new field needs a default,
which it takes where an older file lacks it.
"""

from __future__ import annotations

import dataclasses
import json
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

State = TypeVar("State")
Tree = Any
"""What ``json`` can hold."""

ALIGNMENT = 64
"""Bytes; torch aligns what it allocates to this, and no vector register is wider."""
FORMAT = 1
STATE, DIGEST = "maskcast.state", "maskcast.digest"
"""Keys of the metadata in the header of a file."""
ON_HOST = MappingProxyType({"on_host": True})
"""Metadata of a field whose tensors stay in main memory on every device, as the states of random
generators must: ``random: Tensor = field(metadata=ON_HOST)``."""
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in vars(torch).values()
    if isinstance(dtype, torch.dtype)
}


def save_state(state: Any, path: Path | str, *, digest: str | None = None) -> None:
    """Write a state to one file, which is whole or absent even after a power cut.

    Args:
        state: of any segmenter.
        path: of the file; its folder is created if missing.
        digest: a text that identifies what led to the state; ``state_digest`` reads it back.

    Raises:
        TypeError: it holds something that is not a value (see above).
        OutputError: the file cannot be written.
    """
    path = Path(path)
    found: list[_Found] = []
    tree = _encode(state, found, on_host=False)
    blocks = _blocks(found)
    header = {"format": FORMAT, "value": tree, "blocks": [block.entry() for block in blocks]}
    content = {str(number): block.content() for number, block in enumerate(blocks)}
    metadata = {STATE: json.dumps(header)} | ({} if digest is None else {DIGEST: digest})
    with replacing(path, sync=True) as temporary:
        try:
            save_file(content, temporary, metadata=metadata)
        except SafetensorError as error:  # hides the errors of the file system
            raise OutputError(f"cannot write {path}: {error}") from error


def load_state(
    path: Path | str, expected: type[State], *, device: torch.device | str | None = None
) -> State:
    """Read a state back.

    Args:
        path: what ``save_state`` has written.
        expected: the class of the state, ``type(segmenter.start())``; classes inside it are
            found by its type hints alone.
        device: where its tensors go; by default where they came from. Tensors saved beside
            those of an accelerator stay in main memory, and so do fields with ``ON_HOST``.

    Raises:
        MissingFileError: there is no such file.
        StateError: it is damaged, or no state of this class.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"saved state {path} does not exist")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})[STATE])
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if header["format"] != FORMAT:
            raise StateError(
                f"{path} has state format {header['format']} but this version reads {FORMAT}"
            )
        tensors = _restored(header["blocks"], stored, device)
        value = _decode(header["value"], expected, tensors)
    except (SafetensorError, KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, StateError):
            raise StateError(f"{path}: {error}") from error
        raise StateError(f"cannot read the saved state {path}: {error}") from error
    if not isinstance(value, expected):
        raise StateError(f"{path} holds {type(value).__name__}, expected {expected.__name__}")
    return value


def state_digest(path: Path) -> str | None:
    """Return the digest that a state was saved with; None without one, or if it is damaged."""
    try:
        with safe_open(path, "pt") as file:
            digest: str | None = (file.metadata() or {}).get(DIGEST)
            return digest
    except (OSError, SafetensorError, ValueError):
        return None


@dataclass(frozen=True)
class _Found:
    """A tensor met in a state, and the memory it spans."""

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
    """A span of memory, and the tensors in it by their number."""

    start: int
    end: int
    members: tuple[tuple[int, _Found], ...]

    def entry(self) -> Tree:
        return {
            "lead": self.start % ALIGNMENT,
            "device": self.members[0][1].tensor.device.type,
            "on_host": any(found.on_host for _, found in self.members),
            "tensors": [
                {
                    "number": number,
                    "offset": found.start - self.start,
                    "dtype": str(found.tensor.dtype).removeprefix("torch."),
                    "shape": list(found.tensor.shape),
                    "stride": list(found.tensor.stride()),
                }
                for number, found in self.members
            ],
        }

    def content(self) -> UInt8[Tensor, "bytes"]:
        """Return the span itself, or a copy in main memory of what an accelerator holds."""
        view = torch.empty(0, dtype=torch.uint8, device=self.members[0][1].tensor.device)
        if self.start < self.end:  # an empty tensor has no address
            storage = self.members[0][1].tensor.untyped_storage()
            view.set_(storage, self.start - storage.data_ptr(), (self.end - self.start,), (1,))
        return view.cpu()


def _blocks(found: list[_Found]) -> list[_Block]:
    """Group tensors whose memory overlaps."""
    numbered = sorted(
        enumerate(found), key=lambda entry: (str(entry[1].tensor.device), entry[1].start)
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


def _same_storage(one: _Found, other: _Found) -> bool:
    pointers = [found.tensor.untyped_storage().data_ptr() for found in (one, other)]
    return one.tensor.device == other.tensor.device and pointers[0] == pointers[1]


def _restored(
    entries: list[Tree], stored: Mapping[str, Tensor], device: torch.device | str | None
) -> dict[int, Tensor]:
    """Put the blocks into memory and lay the tensors over them."""
    on_accelerator = any(entry["device"] != "cpu" for entry in entries)
    tensors: dict[int, Tensor] = {}
    for name, entry in enumerate(entries):
        stays = entry["on_host"] or (on_accelerator and entry["device"] == "cpu")
        target = "cpu" if stays else (device or entry["device"])
        content, lead = stored[str(name)], int(entry["lead"])
        memory = torch.empty(lead + content.numel(), dtype=torch.uint8, device=target)
        memory[lead:].copy_(content)
        for place in entry["tensors"]:
            tensors[place["number"]] = _laid_over(memory, lead, place)
    return tensors


def _laid_over(memory: UInt8[Tensor, "bytes"], lead: int, place: Tree) -> Tensor:
    tensor = torch.empty(0, dtype=_DTYPES[place["dtype"]], device=memory.device)
    shape, stride, start = place["shape"], place["stride"], lead + place["offset"]
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


def _encode(value: Any, found: list[_Found], *, on_host: bool) -> Tree:
    if isinstance(value, Tensor):
        if value.layout != torch.strided or value.is_quantized:
            raise TypeError(f"the tensors of a state must be dense, got layout {value.layout}")
        found.append(_Found(value.detach().resolve_conj().resolve_neg(), on_host))
        return {"tensor": len(found) - 1}
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is tuple:
        return [_encode(item, found, on_host=on_host) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            field.name: _encode(
                getattr(value, field.name),
                found,
                on_host=on_host or field.metadata.get("on_host", False),
            )
            for field in dataclasses.fields(value)
            if field.init
        }
        return {"class": type(value).__name__, "fields": fields}
    if isinstance(value, Mapping) and all(type(key) in (int, str) for key in value):
        items = [[key, _encode(item, found, on_host=on_host)] for key, item in value.items()]
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
