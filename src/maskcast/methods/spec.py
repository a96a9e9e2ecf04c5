"""Build a segmenter from weights, or describe one with a small value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from maskcast.core.device import (
    choose_device,
    chosen_dtype,
    dtype_named,
    make_float32_exact,
)
from maskcast.core.device_names import DeviceName, DtypeChoice, DtypeName
from maskcast.core.guarded import GuardedSegmenter
from maskcast.core.progress import Progress
from maskcast.core.segmenter import SegmenterIdentity, VideoSegmenter
from maskcast.core.surroundings import own_surroundings
from maskcast.io.weights.files import Weights, sha256_of
from maskcast.io.weights.names import find_weights, read_weights
from maskcast.methods.box_start import BoxStart
from maskcast.methods.catalogue import BOX_WEIGHTS, choose_weights, configured, options_in_force
from maskcast.methods.precision import dtype_of


def load_segmenter(
    weights: str | Path | None = None,
    *,
    device: DeviceName = "auto",
    dtype: torch.dtype | DtypeChoice = torch.float32,
    options: Mapping[str, object] | None = None,
) -> VideoSegmenter[Any]:
    """Build a segmenter from weights.

    Args:
        weights: name or path of the weights, such as ``"lwl-small"`` (the default),
            ``"lwl-ytvos"`` once imported, or a safetensors file.
        device: device to compute on: ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, a
            specific GPU (``cuda:1``) or ``mps``.
        dtype: data type of the network's computation, or its name. ``torch.bfloat16`` is faster if
            the hardware supports it; masks are always float32. ``"auto"`` is
            bfloat16 for the small weights of the package on a processor that supports it natively,
            otherwise float32.
        options: settings of the method by name, such as ``{"update_steps": 5}``;
            ``maskcast info METHOD`` lists them.

    Raises:
        UsageError: an option is unknown or out of range, or the device is unavailable.
        MissingFileError: the weights do not exist.
        WeightsError: the weights are damaged.
    """
    chosen = choose_weights(None if weights is None else str(weights), None)
    texts = {name: str(value) for name, value in (options or {}).items()}
    if dtype == "auto":
        dtype = dtype_of(None if weights is None else str(weights), dtype, device=device)
    return build(chosen, options=texts, device=choose_device(device), dtype=chosen_dtype(dtype))


def build(
    weights: Weights | None,
    *,
    method: str | None = None,
    options: Mapping[str, str] | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    progress: Progress | None = None,
) -> VideoSegmenter[Any]:
    """Build a segmenter of the method that the weights belong to.

    Args:
        weights: the weights, which contain the name of their method and its config; None uses
            seeded random parameters, for tests and benchmarks.
        method: name of the method; required without weights, and otherwise that of the weights.
        options: settings of the method by name, as text (``maskcast.core.config``).
        device: device to compute on, which also holds the results.
        dtype: data type of the network's computation. With float32, TF32 is disabled for the whole
            process (``torch.backends.cudnn.allow_tf32``).
        progress: called during long operations, such as fine-tuning.

    Raises:
        UsageError: the method is unknown, or is not that of the weights.
        ConfigError: an option is unknown or out of range.
        WeightsError: the weights do not fit their method.
    """
    chosen, config = configured(weights, method=method, options=options)
    make_float32_exact()
    with own_surroundings(device):
        segmenter = chosen.build(
            config,
            weights.tensors if weights else None,
            device=torch.device(device),
            dtype=dtype,
            progress=progress,
        )
    if chosen.takes_boxes(config):
        return GuardedSegmenter(segmenter, device)

    def build_boxer() -> VideoSegmenter[Any]:
        return build(read_weights(BOX_WEIGHTS), device=device, dtype=dtype)

    return GuardedSegmenter(BoxStart(segmenter, build_boxer), device)


@dataclass(frozen=True, kw_only=True)
class SegmenterSpec:
    """Weights, method, options, device and dtype of a segmenter; a ``SegmenterSource``.

    It contains only strings, so it can be pickled, compared, and built in another process.
    """

    weights: str | None = None
    """Name or path of the weights; None means the default weights of the method, or of the
    package."""
    method: str | None = None
    """Name of the method; None means the method of the weights."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Settings of the method by name, as text."""
    device: str = "auto"
    """Device to compute on: auto, cpu, cuda, cuda:1 or mps."""
    dtype: DtypeName = "float32"
    """Data type of the network's computation."""

    def build(self, *, progress: Progress | None = None) -> SpecifiedSegmenter:
        """Read the weights and build the segmenter; see ``SegmenterSource.build``.

        Raises:
            UsageError: the method or an option is invalid, or the device is unavailable.
            MissingFileError: the weights do not exist.
            WeightsError: the weights are damaged.
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
        """Return everything that determines the masks; see ``SegmenterSource.identity``.

        Raises:
            UsageError: the method or an option is invalid.
            MissingFileError: the weights do not exist.
            WeightsError: the weights are damaged.
        """
        return _identity(self, choose_weights(self.weights, self.method), uses_boxes)


class SpecifiedSegmenter:
    """The result of ``SegmenterSpec.build``; a ``BuiltSegmenter``."""

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
        """Return everything that determines the masks; see ``SegmenterSource.identity``."""
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
        options=options_in_force(weights, spec.options),
        dtype=spec.dtype,
    )
