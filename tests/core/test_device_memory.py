"""Objects are split over several calls when memory runs out."""

from __future__ import annotations

import pytest
import torch

from maskcast.core.device_memory import in_parts
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
    assert "no memory for 5 objects at once; going on with 2 and 3" in caplog.text


def test_one_that_does_not_fit_is_an_error_of_its_own():
    with pytest.raises(DeviceMemoryError, match="one object"):
        in_parts(at_most(0, []), [1])
