"""Recognise out-of-memory errors, process objects in parts, and count networks that fit."""

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
    """Return ``call(items)``; when the device is out of memory, split the items in half and retry.

    Args:
        call: returns one result per item. The results must not depend on which items are passed
            together.
        items: usually the objects of a frame.

    Raises:
        DeviceMemoryError: a single item does not fit into memory.
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
    torch.cuda.empty_cache()  # after the except block, which keeps the failed call's tensors alive
    middle = len(items) // 2
    logger.warning(
        "the device is out of memory with %d objects at a time; continuing with %d and %d",
        len(items),
        middle,
        len(items) - middle,
    )
    return in_parts(call, items[:middle]) + in_parts(call, items[middle:])


def networks_that_fit(size: int, device: torch.device) -> int:
    """Return how many networks of ``size`` bytes fit into half of a GPU's free memory, at least 1.

    On other devices it is 1, because copying weights takes little time compared with a frame.
    """
    if device.type != "cuda":
        return 1
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, free // 2 // size)
