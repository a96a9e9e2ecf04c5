"""Keep what a program sets for its own use of torch away from computations of this package.

A default dtype, a default device, an outer autocast or inference mode would change the results of
networks, or make them fail.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def own_surroundings(device: torch.device | str = "cpu") -> Iterator[None]:
    """Compute inside the block as in a program that has not changed any default of torch.

    Args:
        device: where the computation takes place; autocast is switched off there and on the CPU.
    """
    with ExitStack() as stack:
        stack.enter_context(_FLOAT32)
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in {"cpu", torch.device(device).type}:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(mode=False))
        yield


class _Float32Default:
    """Makes float32 the default dtype while at least one thread is inside the block.

    The default dtype belongs to the whole process, so the first thread that enters sets it, and the
    last one that leaves restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = torch.float32

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = torch.get_default_dtype()
            self._inside += 1
            if torch.get_default_dtype() != torch.float32:
                torch.set_default_dtype(torch.float32)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._before != torch.float32:
                torch.set_default_dtype(self._before)


_FLOAT32 = _Float32Default()
