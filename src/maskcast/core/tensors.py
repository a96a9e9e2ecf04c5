"""The size of images, and a check that the tensors of a file are those of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from torch import Tensor

from maskcast.core.errors import WeightsError

Size: TypeAlias = tuple[int, int]
"""Height and width in pixels."""


def size_of(image: Tensor) -> Size:
    """Return the height and width of an image, a mask, or a stack of either."""
    return image.shape[-2], image.shape[-1]


def require_tensors(expected: Mapping[str, Tensor], in_file: Mapping[str, Any], what: str) -> None:
    """Check the names and shapes of tensors.

    Args:
        expected: tensors of the network.
        in_file: tensors of the file; other values count as tensors of a wrong shape.
        what: summary for messages, such as "the weights do not match this network".

    Raises:
        WeightsError: a tensor is missing, unknown, or has another shape.
    """
    missing, unknown = expected.keys() - in_file.keys(), in_file.keys() - expected.keys()
    if missing or unknown:
        raise WeightsError.mismatch(what, missing=missing, unknown=unknown)
    for name, tensor in expected.items():
        shape, wanted = tuple(getattr(in_file[name], "shape", ())), tuple(tensor.shape)
        if not isinstance(in_file[name], Tensor) or shape != wanted:
            raise WeightsError(f"{what}: {name} has shape {shape}, expected {wanted}")
