"""Read a folder of pictures as a video: one frame per file, in the order of their names.

Frames are RGB, 8 bits, height × width × 3, rotated to upright by their EXIF orientation.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskcast.core.arrays import Picture
from maskcast.core.errors import DataError, FrameError, VideoError
from maskcast.io.pictures import bits_per_channel, open_picture, upright
from maskcast.io.video.reader import OnBadFrame, fill_bad_frame, log, refuse_other_size

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
FOURTEEN_BITS = 2**14
"""Upper limit of the values of cameras that store 10, 12 or 14 bits in 16."""
LARGEST_PROFILE = 2**22
"""Maximum size of a colour profile in bytes; larger ones are ignored."""


class FrameFolder:
    """A folder of pictures, read one by one.

    Args:
        folder: the folder.
        exclude: files in it that are not frames, such as masks.

    Attributes:
        paths: the files, in order.
        names: file names without extension; a mask of that name belongs to that frame.
        size: height and width in pixels.

    Raises:
        VideoError: the folder has no pictures, several pictures with the same name, or names whose
            order is ambiguous.
        FrameError: none of the pictures can be read.
    """

    timing = None
    cut_short = False

    def __init__(self, folder: Path, exclude: Collection[Path] = ()) -> None:
        self.paths = _frame_files(folder, exclude)
        self.names = [path.stem for path in self.paths]
        self.folder = folder
        readable = (self._read_if_whole(frame_index) for frame_index in range(self.count))
        first = next((picture for picture in readable if picture is not None), None)
        height, width, _ = self._read(0).shape if first is None else first.shape
        self.size = (int(height), int(width))
        self._gaps = gaps_in(self.names)
        for note in self._notes():
            log.warning("%s: %s", folder, note)

    def _notes(self) -> Iterator[str]:
        if self._gaps:
            yield f"no frame between {'; '.join(self._gaps)}"
        if (largest := _largest_of_16_bits(self.paths[0])) is not None and largest < FOURTEEN_BITS:
            yield (
                f"the values of {self.paths[0].name}, which has 16 bits, end at {largest} of "
                "65535, so that frames are nearly black; if they have fewer bits, stretch them"
            )

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.paths)

    def pictures(self, first: int, last: int, on_bad_frame: OnBadFrame) -> Iterator[Picture]:
        """Yield the frames ``first`` ≤ i < ``last``."""
        previous: Picture | None = None
        for frame_index in range(first, last):
            try:
                previous = self._read(frame_index)
            except FrameError as error:
                if previous is None and on_bad_frame == "hold":
                    previous = self._last_good_before(frame_index)
                previous = fill_bad_frame(previous, error, on_bad_frame)
            refuse_other_size(previous, self.size, f"the frame {self.paths[frame_index].name}")
            yield previous

    def group_start(self, frame_index: int) -> int:
        """Return ``frame_index``, because every file can be read alone."""
        return frame_index

    def describe(self) -> list[str]:
        """Return lines that describe the folder: frames and their size."""
        height, width = self.size
        first, last = self.paths[0].name, self.paths[-1].name
        return [
            f"frames    {self.count} pictures, {first} to {last}",
            f"size      {width}×{height}",
            *(f"note      {note}" for note in self._notes()),
        ]

    @property
    def icc_profile(self) -> bytes | None:
        """The RGB colour profile of the first frame; None if it has none."""
        try:
            profile = open_picture(self.paths[0]).info.get("icc_profile")
        except DataError:
            return None
        if not isinstance(profile, bytes) or len(profile) > LARGEST_PROFILE:
            return None
        return profile if profile[16:20] == b"RGB " else None

    def _last_good_before(self, frame_index: int) -> Picture | None:
        earlier = (self._read_if_whole(i) for i in reversed(range(frame_index)))
        return next((picture for picture in earlier if picture is not None), None)

    def _read_if_whole(self, frame_index: int) -> Picture | None:
        with suppress(FrameError):
            return self._read(frame_index)
        return None

    def _read(self, frame_index: int) -> Picture:
        path = self.paths[frame_index]
        try:
            return _as_rgb(upright(open_picture(path, one_page=True)), path)
        except DataError as error:
            raise FrameError(f"cannot read frame {frame_index}: {error.summary}") from error


def _as_rgb(picture: Image.Image, path: Path) -> Picture:
    if picture.mode == "F":  # Pillow would clip values in 0..1 to black
        raise DataError(f"{path} has floating-point values; save frames with 8 or 16 bits")
    if picture.mode.startswith("I"):  # 16-bit grey, which Pillow would clip instead of scale
        grey = (np.asarray(picture).astype(np.float64) / 257).round().clip(0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.array(picture.convert("RGB"))


def _largest_of_16_bits(path: Path) -> int | None:
    """Return the largest value of a picture with 16 bits per channel; None for others."""
    try:
        picture = open_picture(path)
    except DataError:
        return None
    if picture.mode.startswith("I;16"):
        return int(np.asarray(picture).max())
    if bits_per_channel(path, picture) == 16 and picture.mode in ("RGB", "RGBA", "LA"):
        # Pillow keeps the upper 8 bits
        return 256 * int(np.asarray(picture.convert("RGB")).max()) + 255
    return None


def gaps_in(names: Sequence[str]) -> list[str]:
    """Return the gaps in frames that are numbered, such as ``1002 and 1005``.

    The most frequent step between two numbers is not a gap.
    """
    matches = [re.fullmatch(r"(.*?)([0-9]+)", name) for name in names]
    parts = [match for match in matches if match is not None]
    if len(parts) < len(names) or len({part[1] for part in parts}) != 1:
        return []
    numbers = [int(part[2][-18:]) for part in parts]
    steps = Counter(after - before for before, after in pairwise(numbers))
    if not steps:
        return []
    usual = min(step for step, count in steps.items() if count == max(steps.values()))
    return [
        f"{before} and {after}"
        for (before, number), (after, next_number) in pairwise(zip(names, numbers, strict=True))
        if next_number - number > usual > 0
    ]


def is_frame_file(path: Path) -> bool:
    """Return whether a file is a frame, judging by its name."""
    return path.name[0] != "." and path.suffix.lower() in ENDINGS


def _frame_files(folder: Path, exclude: Collection[Path]) -> list[Path]:
    try:
        visible = [
            path
            for path in folder.iterdir()
            if path.name[0] != "." and (path.is_file() or path.is_symlink())
        ]  # a broken link counts as an unreadable frame, not as a missing one
    except OSError as error:
        raise VideoError(f"cannot read the folder {folder}: {error.strerror}") from error
    excluded = {os.path.realpath(path) for path in exclude}
    frames = sorted(
        (p for p in visible if is_frame_file(p) and os.path.realpath(p) not in excluded),
        key=lambda path: (path.stem, path.name),
    )
    if not frames:
        others = sorted({path.suffix or path.name for path in visible})[:5]
        holds = f"it contains {', '.join(others)}" if others else "it is empty"
        kinds = ", ".join(ending[1:] for ending in ENDINGS)
        raise VideoError(
            f"the folder {folder} has no frames ({kinds}): {holds}; give a folder of frames or a "
            "video file"
        )
    twice = [
        f"{folder} has two files for frame {before.stem} ({before.name}, {after.name}); remove one"
        for before, after in pairwise(frames)
        if before.stem == after.stem
    ]
    if len(twice) == 1:
        raise VideoError(twice[0])
    if twice:
        raise VideoError(f"{folder} has several files for the same frame", details=twice)
    if (values := _signed_values(folder, frames)) is not None:
        return [frame for _, frame in sorted(zip(values, frames, strict=True))]
    _reject_ambiguous_order(folder, frames)
    return frames


def _signed_values(folder: Path, frames: Sequence[Path]) -> list[int] | None:
    """Return the numbers that names end with, if some have a sign; else None.

    A hyphen before every number, as in ``frame-1``, is no sign, unless the name is only a number.
    """
    parts = [re.fullmatch(r"(.*[^0-9+-]|)([+-]?)([0-9]+)", path.stem) for path in frames]
    matches = [part for part in parts if part is not None]
    signs = {part[2] for part in matches}
    prefixes = {part[1] for part in matches}
    if len(matches) < len(parts) or len(prefixes) != 1 or signs == {""}:
        return None
    if prefixes != {""} and "" not in signs:
        return None
    values = [int(part[2] + part[3]) for part in matches]
    if len(set(values)) < len(values):
        raise VideoError(f"the order of the frames in {folder} is ambiguous: two have one number")
    return values


def _reject_ambiguous_order(folder: Path, by_name: Sequence[Path]) -> None:
    by_number = sorted(by_name, key=lambda path: _number_key(path.stem))
    for named, numbered in zip(by_name, by_number, strict=True):
        if named != numbered:
            raise VideoError(
                f"the order of the frames in {folder} is ambiguous: {named.name} comes first by "
                f"name, {numbered.name} by number; use leading zeros (00001, 00002, ...)"
            )


def _number_key(stem: str) -> list[tuple[int, Any]]:
    parts = re.split(r"(\d+)", stem)
    return [(1, int(part)) if part.isdecimal() else (0, part) for part in parts if part]
