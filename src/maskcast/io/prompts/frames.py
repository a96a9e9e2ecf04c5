"""Find the frames of a video that prompts belong to, by name or index."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from maskcast.core.errors import MaskShapeError, PromptError
from maskcast.core.numbers import shortened, signed_number, whole_number
from maskcast.io.prompts.boxes import TypedBox
from maskcast.io.prompts.frame_names import number_in, same_name, without_additions
from maskcast.io.prompts.marked_frame import FrameKey, Label, MarkedFrame, describe_marks


class PromptFrames:
    """The frames that prompts can belong to.

    Attributes:
        names: names of the frames.
        size: height and width of the frames in pixels.
        first: index of the first of these frames in the whole video.
    """

    def __init__(self, names: Sequence[str], size: tuple[int, int], first: int) -> None:
        self.names = names
        self.size = size
        self.first = first
        self._by_name = {same_name(name): index for index, name in enumerate(names)}
        self._by_number, self._repeated = _numbered(names)

    def label(self, frame_index: int) -> str:
        """Return the name of a frame in messages."""
        return f"frame {self.names[frame_index]}"

    def key(self, frame_index: int) -> str:
        """Return the shortest text that ``find`` reads as this frame: its number, or its name."""
        number = str(self.first + frame_index)
        return number if self.find(number) == frame_index else self.names[frame_index]

    def find(self, frame_key: str) -> int | None:
        """Return the index of a frame from its name, or else from its index in the whole video."""
        named = self._by_name.get(same_name(frame_key))
        if named is not None:
            return named
        number = whole_number(frame_key)
        return None if number is None else self._within(number)

    def find_mask(self, name: str) -> int | None:
        """Return the index of the frame that a mask is named after; None if there is none.

        A mask has the name of its frame, or the number in it. A number that is in the name of no
        frame is an index, if the mask is named by it alone or the frames have no numbers.

        Raises:
            PromptError: the frame is unclear.
        """
        for candidate in (name, without_additions(name)):
            named = self._by_name.get(same_name(candidate))
            if named is not None:
                return named
        digits = number_in(name)
        if digits is None:
            return None
        number = whole_number(digits) or 0
        if number in self._repeated:
            raise PromptError(f"several frames have the number in the name {shortened(name)!r}")
        numbered, counted = self._by_number.get(number), self._within(number)
        if numbered is None:
            alone = digits == without_additions(name)
            return counted if alone or not self._by_number else None
        in_name = re.findall("[0-9]+", self.names[numbered])
        if counted not in (None, numbered) and digits not in in_name:
            raise PromptError(
                f"the mask {shortened(name)} may belong to {self.label(numbered)} by its name or "
                f"to {self.label(counted or 0)} by its index"
            )
        return numbered

    def find_mark(self, frame_key: FrameKey) -> int | None:
        """Return the index of the frame of a mark; integers are never read as names."""
        if isinstance(frame_key, str):
            return self.find(frame_key)
        return self._within(frame_key)

    def _within(self, number: int) -> int | None:
        frame_index = number - self.first
        return frame_index if 0 <= frame_index < len(self.names) else None

    def find_range(self, text: str) -> range | None:
        """Return the indices of the frames ``FRAME`` or ``FRAME-FRAME``; the last one is included.

        A frame name may contain hyphens. None means that a frame does not exist.
        """
        if (single := self.find(text)) is not None:
            return range(single, single + 1)
        parts = text.split("-")
        for count in range(1, len(parts)):
            first, last = self.find("-".join(parts[:count])), self.find("-".join(parts[count:]))
            if first is not None and last is not None:
                return range(first, last + 1)
        return None

    def assign(
        self, marked: Sequence[MarkedFrame], lone_files: frozenset[Path]
    ) -> list[tuple[int, MarkedFrame]]:
        """Find the frame index of each marked frame.

        Args:
            marked: marked frames.
            lone_files: files that may have any name without a number; if exactly one mask matches
                no frame and is among them, it belongs to the first frame.

        Returns:
            the marked frames with their frame indices, in ascending order.

        Raises:
            PromptError: marked frames match no frame, or the frame is unclear.
            MaskShapeError: a mask and the frames differ in size.
        """
        assigned, strays = [], []
        for frame in marked:
            frame_index = self._frame_of(frame)
            if frame_index is None:
                strays.append(frame)
            else:
                assigned.append((frame_index, frame))
        if (
            len(strays) == 1
            and strays[0].source in lone_files
            and not any(map(_is_numbered, (strays[0].frame_key, strays[0].also_named)))
        ):
            assigned.append((0, strays[0]))
        elif strays:
            raise self._stray_error(strays)
        for _, frame in assigned:
            self._reject_other_size(frame)
        return sorted(assigned, key=lambda pair: pair[0])

    def has(self, frame_key: FrameKey) -> bool:
        """Return whether a mask with this name or index belongs to a frame, clear or not."""
        if isinstance(frame_key, int):
            return self.find_mark(frame_key) is not None
        try:
            return self.find_mask(frame_key) is not None
        except PromptError:
            return True

    def _frame_of(self, frame: MarkedFrame) -> int | None:
        """Return the frame that a file names in one way or in both."""
        by_name = self._frame_named(frame.source, frame.frame_key)
        if frame.also_named is None:
            return by_name
        if by_name is None:
            return self._frame_named(frame.source, frame.also_named)
        by_content = self._frame_if_clear(frame.also_named)
        if by_content not in (None, by_name):
            raise PromptError(
                f"{frame.source}: {shortened(frame.frame_key)} is {self.label(by_name)}, but "
                f"{shortened(frame.also_named)} in the file is {self.label(by_content or 0)}; make "
                "them agree"
            )
        return by_name

    def _frame_if_clear(self, frame_key: FrameKey) -> int | None:
        if isinstance(frame_key, int):
            return self.find_mark(frame_key)
        try:
            return self.find_mask(frame_key)
        except PromptError:
            return None

    def _frame_named(self, source: Path, frame_key: FrameKey) -> int | None:
        if isinstance(frame_key, int):
            return self.find_mark(frame_key)
        try:
            return self.find_mask(frame_key)
        except PromptError as error:
            raise PromptError(
                f"{source}: {error.summary}; name it after its frame, such as {self.names[0]}.png",
                options=("masks",),
            ) from error

    def locate(self, box: TypedBox) -> int:
        """Return the frame index of a box."""
        if box.frame_key is None:
            return 0
        frame_index = self.find(box.frame_key)
        if frame_index is None:
            raise PromptError(
                f"box {shortened(box.text, 80)}: frame {shortened(box.frame_key)} does not exist; "
                f"{self.known()}",
                options=("box",),
            )
        return frame_index

    def report(self, frame_index: int, frame: MarkedFrame, ids: Mapping[Label, int]) -> str:
        """Return a line of text: which file marks which objects on a frame."""
        marks = {ids[label]: mark for label, mark in frame.marks.items()}
        notes = "".join(f"; {note}" for note in frame.notes)
        where = f"{frame.source}: {frame.kind}, for {self.label(frame_index)}"
        return f"{where}: {describe_marks(marks)}{notes}"

    def _reject_other_size(self, frame: MarkedFrame) -> None:
        for mark in frame.marks.values():
            if isinstance(mark, np.ndarray) and mark.shape != self.size:
                raise MaskShapeError(
                    f"the mask {frame.source} is {mark.shape[1]}×{mark.shape[0]} but the frames "
                    f"are {self.size[1]}×{self.size[0]}; draw it at the size of the frames, or use "
                    "maskcast.io.label_maps.resize_label_map"
                )

    def _stray_error(self, strays: Sequence[MarkedFrame]) -> PromptError:
        shown = [f"mask {_shown(frame)} (in {frame.source.parent})" for frame in strays]
        if len(shown) == 1:
            option = "corrected" if strays[0].is_whole else "masks"
            return PromptError(f"{shown[0]} matches no frame; {self.known()}", options=(option,))
        return PromptError(
            f"{len(shown)} masks match no frame; {self.known()}",
            details=shown,
            options=tuple(
                dict.fromkeys("corrected" if stray.is_whole else "masks" for stray in strays)
            ),
        )

    def known(self) -> str:
        """Return a text that names the available frames."""
        last = self.first + len(self.names) - 1
        return (
            f"frames are named {self.names[0]} to {self.names[-1]} and numbered "
            f"{self.first} to {last}"
        )


def _shown(frame: MarkedFrame) -> str:
    also = frame.also_named
    return shortened(frame.frame_key) + ("" if also is None else f" of {shortened(also)}")


def _is_numbered(frame_key: FrameKey | None) -> bool:
    """Return whether a name has the number of a frame, or is one."""
    if frame_key is None or isinstance(frame_key, int):
        return frame_key is not None
    return number_in(frame_key) is not None


def _numbered(names: Sequence[str]) -> tuple[dict[int, int], set[int]]:
    """Return the index of each frame by the number in its name, and the numbers of several frames.

    Both are empty if a name has no number.
    """
    numbered: dict[int, int] = {}
    repeated: set[int] = set()
    for index, name in enumerate(names):
        number = _number_of(name)
        if number is None:
            return {}, set()
        if number in numbered:
            repeated.add(number)
        numbered[number] = index
    return {} if repeated else numbered, repeated


def _number_of(name: str) -> int | None:
    """Return the number in the name of a frame, which may have a sign if it is nothing else."""
    if (signed := signed_number(name)) is not None:
        return signed
    try:
        digits = number_in(name)
    except PromptError:
        return None
    return None if digits is None else whole_number(digits)
