"""Read label maps and masks saved by NumPy as ``.npy``: one id per pixel, 0 for background."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Int
from numpy.lib import format as npy

from maskcast.core.errors import MissingFileError, PromptError
from maskcast.core.numbers import shortened
from maskcast.io.label_maps import LARGEST_ID
from maskcast.io.pictures import LARGEST_PICTURE
from maskcast.io.prompts.marked_frame import MarkedFrame
from maskcast.io.prompts.mask_pictures import MOST_IDS, no_background

ENDING = ".npy"


def read_mask_array(path: Path) -> MarkedFrame:
    """Read a label map from an array of height × width; axes of length 1 are dropped.

    A boolean array, or one of 0 and 255, is one object, id 1. Floating-point values must be
    whole numbers. Nothing in the file is executed.

    Raises:
        MissingFileError: the file does not exist.
        PromptError: the file is damaged, or the array is no label map.
    """
    if not path.is_file():
        raise MissingFileError(f"mask {path} does not exist", options=("masks",))
    array = _load(path)
    planes = [side for side in array.shape if side != 1]
    if array.ndim > 2 and len(planes) == 2:
        array = array.reshape(planes)
    if array.ndim != 2 or not array.size:
        raise PromptError(
            f"{path} is an array of {_shown(array.shape)}, not a label map of height × width; save "
            "one array per frame, with the id of the object at each pixel"
        )
    values = _whole_numbers(path, array)
    distinct = np.unique(values)
    if distinct[0] < 0 or distinct[-1] > LARGEST_ID:
        wrong = int(distinct[0] if distinct[0] < 0 else distinct[-1])
        raise PromptError(f"{path} has the value {wrong}; object ids must be in [0, {LARGEST_ID}]")
    if len(distinct) > MOST_IDS:
        raise PromptError(f"{path} has {len(distinct)} different values, too many to be object ids")
    frame = MarkedFrame(path.stem, path, "NumPy array", {})
    if array.dtype == bool or {*distinct.tolist()} == {0, 255}:
        frame.marks.update({1: values > 0} if values.any() else {})
        frame.notes.append("its only value is one object, id 1")
    else:
        frame.marks.update({int(value): values == value for value in distinct if value})
        frame.notes.extend(filter(None, [no_background(values)]))
    return frame


def _load(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            version = npy.read_magic(file)
            read_header = npy.read_array_header_1_0 if version == (1, 0) else None
            shape, _, dtype = (read_header or npy.read_array_header_2_0)(file)
            pixels = int(np.prod(shape, dtype=object))
            if dtype.hasobject or dtype.kind not in "buif":
                raise PromptError(f"{path} is an array of {dtype}, not of numbers")
            if pixels > LARGEST_PICTURE:
                raise PromptError(f"{path} has more than {LARGEST_PICTURE} values")
            if path.stat().st_size - file.tell() < pixels * dtype.itemsize:
                raise ValueError("the file is cut off")
            file.seek(0)
            return np.asarray(npy.read_array(file, allow_pickle=False))
    except PromptError:
        raise
    except Exception as error:  # damaged headers make NumPy raise nearly anything
        raise PromptError(f"cannot read {path} as a NumPy array: {shortened(error, 80)}") from error


def _whole_numbers(path: Path, array: np.ndarray) -> Int[np.ndarray, "height width"]:
    if array.dtype.kind != "f":
        return np.asarray(
            array.clip(max=np.uint64(2**62)) if array.dtype.kind == "u" else array, np.int64
        )
    whole = np.isfinite(array).all() and (array == np.rint(array)).all()
    if not whole or float(np.abs(array).max()) > LARGEST_ID:
        raise PromptError(
            f"{path} has floating-point values that are no object ids; save whole numbers, such as "
            "(probabilities > 0.5).astype('uint8')"
        )
    return array.astype(np.int64)


def _shown(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "one value"
