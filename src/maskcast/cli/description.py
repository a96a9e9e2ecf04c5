"""Describe a method, weights or a path in lines of text, for ``maskcast info``."""

from __future__ import annotations

from collections.abc import Iterator

from maskcast.cli.settings_description import described_settings, effective_settings
from maskcast.core.config import config_from_dict
from maskcast.core.errors import MissingFileError, WeightsError
from maskcast.core.files import with_home
from maskcast.core.progress import Progress
from maskcast.io.weights.names import describe_weights, installed_weights, read_weights
from maskcast.methods.catalogue import BOX_WEIGHTS, METHODS, configured, published_files
from maskcast.methods.recipes import RECIPES

CHECKPOINT_ENDINGS = (".pth", ".pt", ".tar", ".ckpt", ".model")
"""File name extensions of PyTorch checkpoints."""


def describe(
    what: str, *, all_settings: bool = False, progress: Progress | None = None
) -> Iterator[str]:
    """Yield lines that describe a method, a path, or weights by name.

    Args:
        what: name or path.
        all_settings: include the settings of a network's architecture.
        progress: called with the seconds of a video that are read.

    Raises:
        DataError: ``what`` is none of these, or cannot be read.
    """
    path = with_home(what)
    if what in METHODS:
        yield from _describe_method(what, all_settings)
    elif path.is_file() and path.suffix.lower() in CHECKPOINT_ENDINGS:
        yield f"{path} is a checkpoint; to use it: maskcast weights import {path}"
    elif path.exists() and path.suffix != ".safetensors":
        from maskcast.cli.path_description import describe_path

        yield from describe_path(path, progress)
    else:
        yield from _describe_weights(what, all_settings)


def _describe_method(name: str, all_settings: bool) -> Iterator[str]:
    method = METHODS[name]
    yield method.title
    here = {weights.name: weights for weights in installed_weights() if weights.method == name}
    yield f"weights   {', '.join(here) or 'none installed'}"
    for file in method.published.values():
        yield f"published {file.name}: {file.file_name} from {file.page}; licence: {file.licence}"
    if name in RECIPES:
        yield f"recipes   {', '.join(RECIPES[name])}"
    default = here.get(method.default_weights or "")
    config = config_from_dict(method.config, default.config if default else {})
    yield "boxes     " + ("its own" if method.takes_boxes(config) else f"through {BOX_WEIGHTS}")
    yield "options   --option NAME=VALUE; these are the method's defaults, weights may replace them"
    yield from described_settings(method.config(), all_settings=all_settings)


def _describe_weights(what: str, all_settings: bool) -> list[str]:
    try:
        return [*describe_weights(what), *_settings_of_weights(what, all_settings)]
    except MissingFileError as error:
        raise MissingFileError(f"{what} does not exist") from error
    except WeightsError as error:
        file = published_files().get(what)
        if file is None:
            raise WeightsError(
                f"{error.summary}; {what} is not a file or a method ({', '.join(METHODS)}) either"
            ) from error
        return [
            f"weights   {file.name}, not installed",
            f"method    {file.method}",
            f"file      {file.file_name} from {file.page}",
            f"licence   {file.licence}",
        ]


def _settings_of_weights(what: str, all_settings: bool) -> Iterator[str]:
    """Yield the settings in force with weights, those of the package's own included."""
    weights = read_weights(what)
    if weights.method not in METHODS:
        return
    method, config = configured(weights)
    yield f"options   --option NAME=VALUE; * differs from the default of {weights.method}"
    yield from effective_settings(config, method.config(), all_settings=all_settings)
