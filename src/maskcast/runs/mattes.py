"""Alpha and colours of the objects in a frame, for exports that show them alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32

from maskcast.core.arrays import LabelArray, Picture
from maskcast.core.errors import DataError, UsageError
from maskcast.io.label_maps import ids_in
from maskcast.io.pictures import decode_picture
from maskcast.runs.folder import RunFolder
from maskcast.viz.edges import EdgeSettings, alpha_of, foreground_colours


@dataclass(frozen=True)
class Matte:
    """Objects of one frame, apart from their background."""

    picture: Picture
    """The frame."""
    alpha: Float32[np.ndarray, "height width"]
    """Share of each pixel that belongs to the objects, 0..1."""
    is_hard: bool
    """Whether alpha is 0 or 1 everywhere."""

    @cached_property
    def colours(self) -> Picture:
        """Colours of the objects without those of the background; arbitrary where alpha is 0."""
        return self.picture if self.is_hard else foreground_colours(self.picture, self.alpha)


class Mattes:
    """Makes mattes, each once for all exports that need it.

    Args:
        run: the run whose masks are exported.
        edges: how alpha is made.
        offset: index in the run of the first exported frame.

    Raises:
        UsageError: soft edges need probabilities, which the run has not kept.
    """

    def __init__(self, run: RunFolder, edges: EdgeSettings, *, offset: int) -> None:
        if edges.kind == "soft" and not run.card.request.settings.get("probabilities"):
            raise UsageError(
                "soft edges need probabilities, which this run has not kept; segment it with them",
                options=("edges", "probabilities"),
            )
        self._run = run
        self._edges = edges
        self._offset = offset
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

        Raises:
            DataError: a probability cannot be read.
        """
        if frame_index != self._frame:
            self._frame, self._made = frame_index, {}
        if ids not in self._made:
            self._made[ids] = self._matte(picture, label_map, ids)
        return self._made[ids]

    def _matte(self, picture: Picture, label_map: LabelArray, ids: tuple[int, ...] | None) -> Matte:
        inside = label_map != 0 if ids is None else np.isin(label_map, ids)
        probability = None
        if self._edges.kind == "soft":
            probability = self._probability(label_map, ids_in(label_map) if ids is None else ids)
        alpha = alpha_of(picture, inside, self._edges, probability)
        is_hard = self._edges.kind == "hard" and not self._edges.feather
        return Matte(picture, alpha, is_hard)

    def _probability(
        self, label_map: LabelArray, ids: tuple[int, ...] | list[int]
    ) -> Float32[np.ndarray, "height width"]:
        """Return the probability that a pixel belongs to one of the objects."""
        total = np.zeros(label_map.shape, np.float32)
        for object_id in ids:
            path = self._run.probability_path(self._offset + self._frame, object_id)
            if path.is_file():  # an object has none before its first frame
                read = np.asarray(decode_picture(path, str(path), label_map.shape))
                if read.ndim != 2:
                    raise DataError(f"{path} is not a grey picture; delete it and its mask")
                total += read.astype(np.float32) / 65535
        return np.minimum(total, 1)
