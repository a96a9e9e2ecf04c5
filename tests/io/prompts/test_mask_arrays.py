"""Label maps saved by NumPy, right, wrong and malicious."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from maskcast.core.errors import MissingFileError, PromptError
from maskcast.io.prompts.mask_arrays import read_mask_array

VALUES = np.array([[0, 1, 1], [7, 300, 0]])


def save(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


def ids_in(path: Path) -> dict:
    return {label: int(mark.sum()) for label, mark in read_mask_array(path).marks.items()}


@pytest.mark.parametrize(
    "array",
    [
        VALUES.astype(np.uint16), VALUES.astype(np.int64), VALUES.astype(np.float32),
        VALUES.astype(">i4"), np.asfortranarray(VALUES), VALUES[None], VALUES[..., None],
    ],
)  # fmt: skip
def test_values_are_ids(tmp_path, array):
    frame = read_mask_array(save(tmp_path / "00003.npy", array))
    assert (frame.frame_key, frame.kind) == ("00003", "NumPy array")
    assert ids_in(tmp_path / "00003.npy") == {1: 2, 7: 1, 300: 1}
    np.testing.assert_array_equal(frame.marks[1], VALUES == 1)


@pytest.mark.parametrize("array", [VALUES > 0, np.uint8(255) * (VALUES > 0), 1.0 * (VALUES > 0)])
def test_one_object(tmp_path, array):
    assert ids_in(save(tmp_path / "a.npy", np.asarray(array))) == {1: 4}


def test_an_empty_mask(tmp_path):
    assert ids_in(save(tmp_path / "a.npy", np.zeros((3, 4), bool))) == {}


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 4, 5)), "an array of 3 × 4 × 5, not a label map"),
        (np.zeros(4), "an array of 4, not"),
        (np.zeros((0, 4)), "an array of 0 × 4, not"),
        (np.float64(3), "an array of one value, not"),
        (VALUES - 5, "the value -5; object ids"),
        (VALUES * 10**6, "the value 300000000; object ids"),
        (np.full((2, 2), 2**64 - 1, np.uint64), "object ids must be in"),
        (VALUES / 300, "floating-point values that are no object ids"),
        (np.full((2, 2), np.nan), "floating-point values"),
        (np.full((2, 2), 1e300), "floating-point values"),
        (np.arange(1025 * 2).reshape(2, 1025), "2050 different values"),
        (np.zeros((2, 2), complex), "an array of complex128, not of numbers"),
        (np.array([["a", "b"]]), "not of numbers"),
    ],
)
def test_arrays_that_are_no_label_maps(tmp_path, array, words):
    with pytest.raises(PromptError, match=words):
        read_mask_array(save(tmp_path / "a.npy", np.asarray(array)))


class Malicious:
    def __reduce__(self):
        return (pytest.fail, ("the file was executed",))


def test_objects_are_not_unpickled(tmp_path):
    path = save(tmp_path / "a.npy", np.array([[None]]))
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"\n") + 1] + pickle.dumps(Malicious()))
    with pytest.raises(PromptError, match="an array of object"):
        read_mask_array(path)


def test_damaged_files(tmp_path):
    path = save(tmp_path / "a.npy", VALUES)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(PromptError, match=r"cannot read .*a\.npy as a NumPy array"):
            read_mask_array(path)
    with pytest.raises(MissingFileError):
        read_mask_array(tmp_path / "none.npy")


def test_a_shape_that_lies_is_refused_before_anything_is_allocated(tmp_path):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<i8", "fortran_order": False, "shape": (10**6, 10**6)}
    )
    (tmp_path / "a.npy").write_bytes(file.getvalue())
    with pytest.raises(PromptError, match="more than 134217728 values"):
        read_mask_array(tmp_path / "a.npy")
