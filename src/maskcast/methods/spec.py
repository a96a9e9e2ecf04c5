"""Which segmenter is meant, as a small value that worker processes and run cards can take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from maskcast.core.device import DtypeName, choose_device, dtype_named
from maskcast.core.progress import Progress
from maskcast.core.segmenter import SegmenterIdentity, VideoSegmenter
from maskcast.io.weights import Weights, find_weights, sha256_of
from maskcast.methods.box_start import BOX_WEIGHTS
from maskcast.methods.catalogue import build, choose_weights, configured


@dataclass(frozen=True, kw_only=True)
class SegmenterSpec:
    """A segmenter by weights, method, options, device and dtype; a ``SegmenterSource``.

    It holds text only, so it can be pickled, compared, and built in another process.
    """

    weights: str | None = None
    """Name or file; None: the default weights of the method, or of the package."""
    method: str | None = None
    """Name of the method; None: the method of the weights."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Settings of the method by name, as text."""
    device: str = "auto"
    """Where it computes: auto, cpu, cuda, cuda:1, mps."""
    dtype: DtypeName = "float32"
    """Of the network's computation."""

    def build(self, *, progress: Progress | None = None) -> SpecifiedSegmenter:
        """Read the weights and build the segmenter; see ``SegmenterSource.build``.

        Raises:
            UsageError: the method, an option or the device is unknown or does not fit.
            MissingFileError, WeightsError: the weights are missing or damaged.
        """
        device = choose_device(self.device)
        weights = choose_weights(self.weights, self.method)
        segmenter = build(
            weights,
            options=self.options,
            device=device,
            dtype=dtype_named(self.dtype),
            progress=progress,
        )
        return SpecifiedSegmenter(self, weights, segmenter, device)

    def identity(self, *, uses_boxes: bool) -> SegmenterIdentity:
        """Return what decides the masks; see ``SegmenterSource.identity``.

        Raises:
            UsageError: the method or an option is unknown or does not fit.
            MissingFileError, WeightsError: the weights are missing or damaged.
        """
        return _identity(self, choose_weights(self.weights, self.method), uses_boxes)


class SpecifiedSegmenter:
    """What ``SegmenterSpec.build`` has built; a ``BuiltSegmenter``."""

    def __init__(
        self,
        spec: SegmenterSpec,
        weights: Weights,
        segmenter: VideoSegmenter[Any],
        device: torch.device,
    ) -> None:
        self.segmenter = segmenter
        self.device = device
        self._spec = spec
        self._weights = replace(weights, tensors={})  # the segmenter holds its own

    def identity(self, *, uses_boxes: bool) -> SegmenterIdentity:
        """Return what decides the masks; see ``SegmenterSource.identity``."""
        return _identity(self._spec, self._weights, uses_boxes)


def _identity(spec: SegmenterSpec, weights: Weights, uses_boxes: bool) -> SegmenterIdentity:
    method, config = configured(weights, options=spec.options)
    box_start = None
    if uses_boxes and not method.takes_boxes(config):
        box_start = f"{BOX_WEIGHTS} {sha256_of(find_weights(BOX_WEIGHTS))}"
    return SegmenterIdentity(
        method=weights.method,
        weights=weights.name,
        weights_sha256=weights.sha256,
        box_start=box_start,
        options=dict(spec.options),
        dtype=spec.dtype,
    )
