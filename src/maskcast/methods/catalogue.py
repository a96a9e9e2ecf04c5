"""Which methods there are and how each is built from weights.

``METHODS`` is a plain dictionary, so that "go to definition" works. A method's folder imports
``Method`` from ``maskcast.methods.method`` and defines ``METHOD``; its line below is all that the
rest of the house needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from maskcast.core.config import config_from_dict, with_options
from maskcast.core.device import DeviceName, choose_device, make_float32_exact
from maskcast.core.errors import ConfigError, UsageError, WeightsError
from maskcast.core.progress import Progress
from maskcast.core.segmenter import VideoSegmenter
from maskcast.io.weights import PublishedFile, Weights, read_weights
from maskcast.methods.agame.method import METHOD as AGAME
from maskcast.methods.box_start import BOX_WEIGHTS, BoxStart
from maskcast.methods.eosvos.method import METHOD as EOSVOS
from maskcast.methods.lwl.method import METHOD as LWL
from maskcast.methods.method import Method

__all__ = [
    "DEFAULT_WEIGHTS",
    "METHODS",
    "Method",
    "build",
    "choose_weights",
    "configured",
    "load_segmenter",
    "published_files",
]

DEFAULT_WEIGHTS = "lwl-small"
"""The weights inside the package."""
_TRAIN = "train some (maskcast train --list names the recipes) and give them by --weights"

METHODS: dict[str, Method] = {"lwl": LWL, "agame": AGAME, "eosvos": EOSVOS}


def build(
    weights: Weights | None,
    *,
    method: str | None = None,
    options: Mapping[str, str] | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    progress: Progress | None = None,
) -> VideoSegmenter[Any]:
    """Build the segmenter that weights belong to.

    Args:
        weights: they carry their method and its config; None seeds the network instead, which is
            for tests and benchmarks.
        method: needed without weights; with them it must be theirs.
        options: settings of the method by name, as text (``maskcast.core.config``).
        device: where it computes, and where its results are.
        dtype: of the network's computation. Float32 means so on CUDA too: TF32 is switched off,
            for the whole process (``torch.backends.cudnn.allow_tf32``).
        progress: called during work that takes long, such as fine-tuning.

    Raises:
        UsageError: the method is unknown, or not that of the weights (``ConfigError``: an option
            is unknown or out of range).
        WeightsError: the weights do not fit their own method.
    """
    chosen, config = configured(weights, method=method, options=options)
    make_float32_exact()
    segmenter = chosen.build(
        config,
        weights.tensors if weights else None,
        device=torch.device(device),
        dtype=dtype,
        progress=progress,
    )
    if chosen.takes_boxes(config):
        return segmenter

    def build_boxer() -> VideoSegmenter[Any]:
        return build(read_weights(BOX_WEIGHTS), device=device, dtype=dtype)

    return BoxStart(segmenter, build_boxer)


def configured(
    weights: Weights | None,
    *,
    method: str | None = None,
    options: Mapping[str, str] | None = None,
) -> tuple[Method, Any]:
    """Return the method that weights belong to, and its config with the options applied.

    Raises:
        UsageError: the method is unknown, or not that of the weights (``ConfigError``: an option
            is unknown or out of range).
        WeightsError: the config of the weights does not fit their own method.
    """
    chosen = _method_of(weights, method)
    try:
        config = config_from_dict(chosen.config, weights.config if weights else {})
    except ConfigError as error:
        raise WeightsError(f"the weights do not fit this version of maskcast: {error}") from error
    return chosen, with_options(config, options or {})


def load_segmenter(
    weights: str | Path | None = None,
    *,
    device: DeviceName = "auto",
    dtype: torch.dtype = torch.float32,
    options: Mapping[str, object] | None = None,
) -> VideoSegmenter[Any]:
    """Build a segmenter from weights by name or file; by default the small ones in the package.

    Args:
        weights: such as ``"lwl-small"``, ``"lwl-ytvos"`` once imported, or a safetensors file.
        device: where it computes: ``auto`` (an accelerator if there is one), ``cpu``, ``cuda``, a
            certain card (``cuda:1``) or ``mps``.
        dtype: of the network's computation: ``torch.bfloat16`` is faster where the processor or
            card has it, and masks are float32 all the same.
        options: settings of the method by name, ``{"update_steps": 5}``; ``maskcast info METHOD``
            lists them.

    Raises:
        UsageError: an option is unknown or out of range, or the device is not there.
        MissingFileError, WeightsError: the weights cannot be had.
    """
    chosen = choose_weights(None if weights is None else str(weights), None)
    texts = {name: str(value) for name, value in (options or {}).items()}
    return build(chosen, options=texts, device=choose_device(device), dtype=dtype)


def choose_weights(name: str | None, method: str | None) -> Weights:
    """Read the weights a person means by a name or file, by a method, or by neither.

    Raises:
        UsageError: the method is unknown, is not that of the weights, or has no weights here; the
            message says where to get some.
        MissingFileError, WeightsError: see ``read_weights``.
    """
    if method is not None:
        _known(method)
    if name is not None:
        weights = read_weights(name, published_files())
        _method_of(weights, method)
        return weights
    if method is None:
        return read_weights(DEFAULT_WEIGHTS, published_files())
    default = METHODS[method].default_weights
    if default is None:
        raise UsageError(f"there are no weights for {method} yet; {_where_to_get(method)}")
    try:
        return read_weights(default, published_files())
    except WeightsError as error:
        raise UsageError(f"--method {method}: {error}; or {_TRAIN}") from error


def published_files() -> dict[str, PublishedFile]:
    """Return the authors' files of every method by the name they get here."""
    return {name: file for method in METHODS.values() for name, file in method.published.items()}


def _known(method: str) -> Method:
    if method not in METHODS:
        raise UsageError(f"there is no method {method!r}; known: {', '.join(METHODS) or 'none'}")
    return METHODS[method]


def _method_of(weights: Weights | None, method: str | None) -> Method:
    if weights is None:
        if method is None:
            raise UsageError("name a method, or give weights, which carry theirs")
        return _known(method)
    if method not in (None, weights.method):
        raise UsageError(f"the weights {weights.name} are for {weights.method}, not for {method}")
    if weights.method not in METHODS:
        raise WeightsError(
            f"the weights {weights.name} are for {weights.method!r}, which this version does not "
            f"have; known: {', '.join(METHODS) or 'none'}"
        )
    return METHODS[weights.method]


def _where_to_get(method: str) -> str:
    pages = sorted({file.page for file in METHODS[method].published.values()})
    if not pages:
        return _TRAIN
    return (
        f"the authors' files are on {' and '.join(pages)}: maskcast weights list names them, "
        f"maskcast weights import FILE installs them; or {_TRAIN}"
    )
