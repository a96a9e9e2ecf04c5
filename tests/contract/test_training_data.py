"""No method can be trained on a validation video of DAVIS, wherever it is read from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from contract.parts import PARTS
from fixtures.imitations import imitate_davis2017, write_frame, write_labels
from maskcast.core.errors import DatasetError

Open = Callable[..., object]


every_method = pytest.mark.parametrize(
    "open_data", [part.open_training_data for part in PARTS.values()], ids=list(PARTS)
)


@every_method
def test_in_a_folder_of_videos(open_data: Open, tmp_path: Path) -> None:
    for name in ("bear", "drift-chicane"):
        write_frame(tmp_path / name / "frames/0.png", np.zeros((8, 8, 3), np.uint8))
        write_labels(tmp_path / name / "masks/0.png", np.eye(8, dtype=np.uint8))
    with pytest.raises(DatasetError, match="drift-chicane has the name of a validation video"):
        open_data(videos=(tmp_path,))


@every_method
def test_in_a_list_of_davis(open_data: Open, tmp_path: Path) -> None:
    root = imitate_davis2017(tmp_path, videos=1, frames=1)
    with (root / "ImageSets/2017/train.txt").open("a") as names:
        names.write("libby\n")
    with pytest.raises(DatasetError, match="libby is a video of the validation split"):
        open_data(davis=root)
