"""Copy frames to a GPU and results back while it computes, on CUDA streams of their own.

A GPU runs the work of one stream in order. On the stream of the computation, the upload of the next
frame and the download of the last masks would wait for each other and for the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from maskcast.core.types import Frame


class _Sent(NamedTuple):
    """A copy on a GPU, which is complete after the event."""

    copy: Tensor
    event: torch.cuda.Event


_sent: Any = WeakTensorKeyDictionary()
"""FrameUploads by the frame they were made of. They end with the frame."""


class FrameUploads:
    """Copies frames to a device ahead of their use, for a thread that reads them.

    Args:
        device: where the frames will be used; None and devices other than CUDA copy nothing.
    """

    def __init__(self, device: torch.device | None) -> None:
        self._device = device if device is not None and device.type == "cuda" else None
        self._stream: torch.cuda.Stream | None = None

    def sent(self, frame: Tensor) -> Tensor:
        """Return a copy of a frame where it is, and start to upload it.

        The frame need not have been checked. ``on_device`` returns the upload.
        """
        if self._device is None or frame.device.type != "cpu":
            return frame.clone()
        if self._stream is None:  # created by the thread that uses it
            self._stream = _new_stream(self._device)
        pinned = frame.pin_memory()
        if pinned is frame:  # a camera may fill it again
            pinned = frame.clone().pin_memory()
        with torch.cuda.stream(self._stream):
            copy = pinned.to(self._device, non_blocking=True)
            _sent[pinned] = _Sent(copy, self._stream.record_event())
        return pinned


def on_device(frame: Frame, device: torch.device) -> Frame:
    """Return a frame on a device: its upload if there is one, otherwise a new copy.

    The current stream of the device waits for the upload; the calling thread does not.
    """
    sent: _Sent | None = _sent.get(frame) if device.type == "cuda" else None
    if sent is None:
        return frame.to(device)
    stream = torch.cuda.current_stream(device)
    stream.wait_event(sent.event)
    sent.copy.record_stream(stream)  # so that its memory is not used again too early
    return sent.copy


@contextmanager
def own_stream(device: torch.device | str) -> Iterator[None]:
    """Let the current thread use a CUDA stream of its own inside the block.

    Everything it reads must be complete. On other devices nothing changes.
    """
    device = torch.device(device)
    if device.type != "cuda":
        yield
        return
    with torch.cuda.stream(_new_stream(device)):
        yield


def _new_stream(device: torch.device) -> Any:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
