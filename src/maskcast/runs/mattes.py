"""Alpha and colours of the objects in a frame, for exports that show them alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from maskcast.core.arrays import LabelArray, Picture


@dataclass(frozen=True)
class Matte:
    """Objects of one frame, apart from their background."""

    alpha: Float32[np.ndarray, "height width"]
    """Share of each pixel that belongs to the objects, 0..1."""
    colours: Picture
    """Colours of the objects; arbitrary where alpha is 0."""


class Mattes:
    """Makes mattes, each once for all exports that need it."""

    def __init__(self) -> None:
        self._frame = -1
        self._made: dict[tuple[int, ...] | None, Matte] = {}

    def of(
        self,
        frame_index: int,
        picture: Picture,
        label_map: LabelArray,
        ids: tuple[int, ...] | None,
    ) -> Matte:
        """Return the matte of some objects together.

        Args:
            frame_index: index of the frame among the exported ones.
            picture: the frame.
            label_map: its masks.
            ids: the objects; None for all.
        """
        if frame_index != self._frame:
            self._frame, self._made = frame_index, {}
        if ids not in self._made:
            inside = label_map != 0 if ids is None else np.isin(label_map, ids)
            self._made[ids] = Matte(inside.astype(np.float32), picture)
        return self._made[ids]
