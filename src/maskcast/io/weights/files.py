"""Read and write weights files: safetensors with the method, its config and a card as metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors

from maskcast.core.errors import WeightsError
from maskcast.core.files import replacing
from maskcast.core.strict_json import parse_json

if TYPE_CHECKING:
    from torch import Tensor

_KEY = "maskcast"
_FLOATS = ("float16", "bfloat16", "float32", "float64")
"""Names of the data types of parameters."""


@dataclass(frozen=True)
class Weights:
    """Released parameters, with everything needed to build their method."""

    name: str
    method: str
    config: dict[str, Any]
    """Settings of the method, as plain JSON values."""
    tensors: dict[str, Tensor]
    card: dict[str, Any]
    """Model card: training data, licence, scores, source, ..."""
    sha256: str
    """SHA-256 of the whole file, in hexadecimal digits."""
    shipped: bool = False
    """Whether the weights were read by the name of weights in the package."""


def read_file(path: Path) -> Weights:
    """Read a weights file that ``write_weights`` has written.

    Raises:
        WeightsError: the file is damaged, was not written by ``write_weights``, or has a tensor
            that ``check_tensors`` rejects.
    """
    from safetensors.torch import load_file  # noqa: PLC0415 - imports torch

    method, config, card = read_metadata(path)
    try:
        tensors, signature = load_file(path), _signature(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"the weights file {path} is damaged: {error}") from error
    if signature not in _checked:
        check_tensors(tensors, str(path))
        _checked[signature] = sha256_of(path)
    return Weights(path.stem, method, config, tensors, card, _checked[signature])


_checked: dict[tuple[str | int, ...], str] = {}
"""SHA-256 of files whose tensors were checked in this process, by their signature. A run reads its
weights twice: first for its identity, then to build the segmenter."""


def _signature(path: Path) -> tuple[str | int, ...]:
    """Return what changes when a file is replaced or written to."""
    status = path.stat()
    times = status.st_mtime_ns, status.st_ctime_ns
    return str(path), status.st_dev, status.st_ino, status.st_size, *times


def check_tensors(tensors: Mapping[str, Tensor], source: str) -> None:
    """Reject tensors that no network can have.

    Args:
        tensors: parameters and buffers by name.
        source: name of the weights in messages.

    Raises:
        WeightsError: a tensor is neither of floating point nor a counter (a single integer), has
            values that are not finite, or is a negative variance.
    """
    faults = [f"{name} {fault}" for name, t in tensors.items() if (fault := _tensor_fault(name, t))]
    if faults:
        raise WeightsError.listing(f"the weights {source} cannot be used", faults)


def _tensor_fault(name: str, tensor: Tensor) -> str | None:
    kind = str(tensor.dtype).removeprefix("torch.")
    if tensor.ndim == 0 and kind == "int64":  # a counter
        return None
    if kind not in _FLOATS:
        return f"is {kind}, expected one of {', '.join(_FLOATS)}"
    if not tensor.isfinite().all():
        return "has values that are infinite or not a number"
    if name.endswith("running_var") and (tensor < 0).any():
        return "is a variance with negative values"
    return None


def read_metadata(path: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Read method, config and card of a weights file, without its tensors.

    Raises:
        WeightsError: the file is damaged or was not written by ``write_weights``.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} is not a weights file, or is damaged ({error}); checkpoints of the authors "
            "must be imported first",
            options=("import_weights",),
        ) from error
    if _KEY not in metadata:
        raise WeightsError(
            f"{path} is a safetensors file without the metadata that name its method; it was not "
            "written by maskcast"
        )
    try:
        about = parse_json(metadata[_KEY])
        return str(about["method"]), {**about["config"]}, {**about["card"]}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsError(f"the metadata of {path} are damaged: {error}") from error


def write_weights(
    path: Path,
    *,
    method: str,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    card: Mapping[str, Any],
) -> None:
    """Write weights as safetensors, atomically.

    Args:
        path: the file; its stem becomes the name of the weights.
        method: name of the method in the catalogue.
        config: settings of the method, as JSON values.
        tensors: parameters and buffers by name; their dtypes are kept.
        card: the model card, as JSON values.

    Raises:
        OutputError: the file cannot be written.
    """
    from safetensors.torch import save  # noqa: PLC0415 - imports torch

    about = json.dumps({"method": method, "config": dict(config), "card": dict(card)})
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    unshared = {name: tensor.clone() for name, tensor in plain.items()}  # as safetensors requires
    with replacing(path, sync=True) as temporary:
        # save_file would hide the cause of an error, such as a full disk
        temporary.write_bytes(save(unshared, metadata={_KEY: about}))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
