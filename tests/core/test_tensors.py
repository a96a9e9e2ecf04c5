"""Tensors of a file that do not fit a network."""

from __future__ import annotations

import pytest
import torch

from maskcast.core.errors import WeightsError
from maskcast.core.tensors import require_tensors

EXPECTED = {"a": torch.zeros(2, 3), "b": torch.zeros(())}


def test_names_and_shapes_must_be_equal():
    require_tensors(EXPECTED, {"b": torch.ones(()), "a": torch.ones(2, 3)}, "they differ")


def test_all_names_that_differ_are_listed():
    with pytest.raises(WeightsError) as caught:
        require_tensors(EXPECTED, {"a": torch.ones(2, 3), "c": torch.ones(1)}, "they differ")
    assert str(caught.value).splitlines() == [
        "they differ: 1 tensors missing, 1 unknown:",
        "  - missing: b",
        "  - unknown: c",
    ]


@pytest.mark.parametrize(("value", "shape"), [(torch.ones(3), r"\(3,\)"), ([1.0], r"\(\)")])
def test_another_shape_is_an_error(value, shape):
    with pytest.raises(WeightsError, match=rf"they differ: a has shape {shape}, expected \(2, 3\)"):
        require_tensors(EXPECTED, {"a": value, "b": torch.ones(())}, "they differ")
