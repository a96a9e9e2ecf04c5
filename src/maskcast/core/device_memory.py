"""What to do when an accelerator has no room for all objects of a frame at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from maskcast.core.errors import DeviceMemoryError

Item = TypeVar("Item")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)

OUT_OF_MEMORY = ("out of memory", "STATUS_ALLOC_FAILED", "can't allocate memory")


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether the error reports an out-of-memory condition, on any device.

    Only PyTorch's CUDA allocator has an exception class for it. The CPU allocator, the CUDA
    runtime, cuBLAS, cuDNN and MPS report it in the text. ``DeviceMemoryError``, which explains the
    condition already, does not count.
    """
    if isinstance(error, DeviceMemoryError):
        return False
    said = str(error)
    in_words = any(words in said for words in OUT_OF_MEMORY)
    return isinstance(error, torch.OutOfMemoryError) or in_words


def in_parts(
    call: Callable[[Sequence[Item]], Sequence[Result]], items: Sequence[Item]
) -> list[Result]:
    """Return ``call(items)``, in two halves (and so on) where the memory of the device runs out.

    Args:
        call: gives one result per item, the same ones whatever is asked together.
        items: usually the objects of a frame.

    Raises:
        DeviceMemoryError: there is no room even for one item.
    """
    try:
        return list(call(items))
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        if len(items) < 2:
            raise DeviceMemoryError(
                "the device is out of memory with a single object at this frame size; use the "
                "CPU, or a smaller video",
                options=("device",),
            ) from error
    torch.cuda.empty_cache()  # out here the failed call's tensors are gone
    middle = len(items) // 2
    logger.warning(
        "the device is out of memory with %d objects at a time; continuing with %d and %d",
        len(items),
        middle,
        len(items) - middle,
    )
    return in_parts(call, items[:middle]) + in_parts(call, items[middle:])
