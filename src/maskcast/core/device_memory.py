"""Recognise out-of-memory errors, process objects in parts, and count networks that fit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

import torch

from maskcast.core.errors import DeviceMemoryError
from maskcast.core.tensors import Size

Item = TypeVar("Item")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)

MOST_PIXELS = 4 * 288 * 496
"""Pixels of a batch on a CPU: four crops of the small networks, one of a network at full size."""
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
    call: Callable[[Sequence[Item]], Sequence[Result]],
    items: Sequence[Item],
    *,
    most: int | None = None,
) -> list[Result]:
    """Return ``call(items)``; when the device is out of memory, split the items in half and retry.

    Args:
        call: returns one result per item. The results must not depend on which items are passed
            together.
        items: usually the objects of a frame.
        most: largest number of items that are passed together; None for all. They are divided into
            parts of similar size: with small images, oneDNN may add in another order if a batch has
            one only.

    Raises:
        DeviceMemoryError: a single item does not fit into memory.
    """
    if most is not None and len(items) > most:
        count = -(-len(items) // most)
        edges = [index * len(items) // count for index in range(count + 1)]
        return [
            result
            for first, last in pairwise(edges)
            for result in in_parts(call, items[first:last])
        ]
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


def most_together(size: Size, device: torch.device) -> int | None:
    """Return how many crops of a size to pass through a network together; None for all.

    On a CPU, small batches keep the peak memory low and take no more time.
    """
    return max(1, MOST_PIXELS // (size[0] * size[1])) if device.type == "cpu" else None


def networks_that_fit(size: int, device: torch.device) -> int:
    """Return how many networks of ``size`` bytes fit into half of a GPU's free memory, at least 1.

    On other devices it is 1, because copying weights takes little time compared with a frame.
    """
    if device.type != "cuda":
        return 1
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, free // 2 // size)
