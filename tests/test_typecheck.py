"""The test suite checks the types of the package at run time, and the sizes of arrays."""

from __future__ import annotations

import numpy as np
import pytest

from maskcast.core.numbers import counted
from maskcast.core.types import Box
from maskcast.io.label_maps import ids_in
from maskcast.metrics.boundary import contour_accuracy


def test_a_function_without_arrays_rejects_another_type():
    with pytest.raises(TypeError, match="violates type hint"):
        counted("2", "frame")


def test_an_array_of_another_kind_is_rejected():
    with pytest.raises(Exception, match="Type-check error"):
        ids_in(np.zeros((2, 3), np.float32))


def test_a_constructor_rejects_another_type():
    with pytest.raises(Exception, match=r"(?s)Type-check error|violates type hint"):
        Box("1", 2, 3, 4)


def test_sizes_that_differ_in_one_call_are_rejected():
    with pytest.raises(Exception, match="Type-check error"):
        contour_accuracy(np.zeros((2, 3), bool), np.zeros((2, 4), bool))
