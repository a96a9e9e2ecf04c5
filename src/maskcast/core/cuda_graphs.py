"""CUDA graphs: record the kernels of a network once, and replay them for later inputs.

Starting a kernel takes the processor several microseconds, and a trunk has hundreds of them; a
graph starts them all at once. A graph reads its inputs from fixed memory and writes its outputs to
fixed memory. ``Replayed`` therefore copies inputs in and outputs out, so that callers see an
ordinary function of tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

MOST_GRAPHS = 8
"""Graphs that a function keeps. Calls with further kinds of inputs are not recorded."""
WARM_UP = 3
"""Calls before recording, in which libraries choose kernels and reserve memory."""


class Recording(NamedTuple):
    """A call that was recorded."""

    outputs: Any
    """What the call returned: a tensor, or tuples and lists of them. Every replay overwrites it."""
    replay: Callable[[], None]
    """Repeats the call with what its inputs contain by then."""


Record: TypeAlias = Callable[[Callable[[], Any]], Recording]
"""Records a call without arguments, whose inputs stay at the same memory addresses."""


def record_on_cuda(device: torch.device, call: Callable[[], Any]) -> Recording:
    """Record a call as a CUDA graph.

    Other threads may use the GPU meanwhile.

    Raises:
        RuntimeError: the call needs a result on the processor, or the GPU is out of memory.
    """
    with torch.cuda.device(device):
        aside: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                call()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            outputs = call()
    return Recording(outputs, graph.replay)


@dataclass(frozen=True)
class _Graph:
    inputs: list[Tensor]
    recording: Recording


class Replayed:
    """A function of tensors that is recorded once per kind of inputs and then replayed.

    A kind is the shapes, data types and memory formats of the tensors, and all other arguments.

    Args:
        call: the function. It returns a tensor, or named tuples, tuples and lists of them.
            Arguments may be nested in the same way; other arguments must be hashable.
        device: GPU on which all tensors are.
        record: records a call; None uses a CUDA graph.
    """

    def __init__(
        self, call: Callable[..., Any], device: torch.device, *, record: Record | None = None
    ) -> None:
        self._call = call
        self._record = record or partial(record_on_cuda, device)
        self._graphs: dict[tuple[Any, ...], _Graph] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Return ``call(*arguments)``, in new memory."""
        tensors: list[Tensor] = []
        _mapped(tensors.append, arguments)
        kind = _kind(arguments)
        graph = self._graphs.get(kind)
        if graph is None:
            if len(self._graphs) >= MOST_GRAPHS:
                return self._call(*arguments)
            graph = self._graphs[kind] = self._recorded(arguments)
        for fixed, tensor in zip(graph.inputs, tensors, strict=True):
            fixed.copy_(tensor)
        graph.recording.replay()
        return _mapped(torch.clone, graph.recording.outputs)

    def _recorded(self, arguments: tuple[Any, ...]) -> _Graph:
        fixed: list[Tensor] = []

        def keep(tensor: Tensor) -> Tensor:
            fixed.append(tensor.clone())
            return fixed[-1]

        inputs = _mapped(keep, arguments)
        return _Graph(fixed, self._record(lambda: self._call(*inputs)))


def replayed(
    calls: tuple[Callable[..., Any], ...], device: torch.device
) -> tuple[Callable[..., Any], ...]:
    """Return the functions, each ``Replayed`` if the device is a GPU with CUDA."""
    if device.type != "cuda":
        return calls
    return tuple(Replayed(call, device) for call in calls)


def _mapped(change: Callable[[Tensor], Any], value: Any) -> Any:
    """Apply a function to every tensor in nested tuples and lists; other values stay."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, (tuple, list)):
        parts = [_mapped(change, part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def _kind(value: Any) -> tuple[Any, ...]:
    if isinstance(value, Tensor):
        return tuple(value.shape), value.dtype, value.stride()
    if isinstance(value, (tuple, list)):
        return tuple(_kind(part) for part in value)
    return (value,)
