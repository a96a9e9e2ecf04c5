"""Objects are split over several calls when memory runs out."""

from __future__ import annotations

import pytest
import torch

from maskcast.core.device_memory import in_parts, is_out_of_memory, networks_that_fit
from maskcast.core.errors import DeviceMemoryError


def at_most(limit, calls):
    def call(items):
        calls.append(len(items))
        if len(items) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [10 * item for item in items]

    return call


def test_halves_until_it_fits_and_says_so(caplog):
    calls = []
    assert in_parts(at_most(2, calls), range(1, 6)) == [10, 20, 30, 40, 50]
    assert calls == [5, 2, 3, 1, 2]
    assert "out of memory with 5 objects at a time; continuing with 2 and 3" in caplog.text


def test_one_that_does_not_fit_is_an_error_of_its_own():
    with pytest.raises(DeviceMemoryError, match="out of memory with a single object"):
        in_parts(at_most(0, []), [1])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4"), True),
        (DeviceMemoryError("the device is out of memory on frame 3"), False),
        (RuntimeError("Expected all tensors to be on the same device"), False),
    ],
)
def test_memory_that_ran_out_is_told_from_other_errors(error, expected):
    assert is_out_of_memory(error) == expected


def test_other_errors_are_not_tried_again_in_parts():
    calls = []

    def call(items):
        calls.append(len(items))
        raise RuntimeError("a fault")

    with pytest.raises(RuntimeError, match="a fault"):
        in_parts(call, [1, 2])
    assert calls == [2]


def test_networks_are_kept_ready_where_a_gpu_has_room(monkeypatch):
    free = {"bytes": 1000}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free["bytes"], 4000))
    assert networks_that_fit(100, torch.device("cuda")) == 5
    assert networks_that_fit(100, torch.device("cpu")) == 1
    free["bytes"] = 150
    assert networks_that_fit(100, torch.device("cuda")) == 1
