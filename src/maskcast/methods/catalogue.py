"""The available methods, and how weights are matched with them.

``METHODS`` is a plain dictionary, so that "go to definition" works. The package of a method defines
``METHOD`` in its ``method.py``. A new method needs only one more line here, in ``methods.recipes``
and in ``methods.benches``. Torch is not imported before weights are read.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from maskcast.core.config import config_from_dict, full_name, with_options
from maskcast.core.errors import ConfigError, UsageError, WeightsError
from maskcast.io.weights.files import Weights
from maskcast.io.weights.names import (
    PublishedFile,
    find_weights,
    installed_weights,
    read_weights,
)
from maskcast.methods.agame.method import METHOD as AGAME
from maskcast.methods.eosvos.method import METHOD as EOSVOS
from maskcast.methods.lwl.method import METHOD as LWL
from maskcast.methods.method import Method

log = logging.getLogger(__name__)

DEFAULT_WEIGHTS = "lwl-small"
"""The weights inside the package."""
BOX_WEIGHTS = "lwl-small"
"""The weights that convert a box into a mask, for methods that start from masks only."""
_TRAIN = "train weights with one of the recipes and give their file"

METHODS: dict[str, Method[Any]] = {"lwl": LWL, "agame": AGAME, "eosvos": EOSVOS}


def configured(
    weights: Weights | None,
    *,
    method: str | None = None,
    options: Mapping[str, str] | None = None,
) -> tuple[Method[Any], Any]:
    """Return the method that weights belong to, and its config with the options applied.

    Raises:
        UsageError: the method is unknown, or is not that of the weights.
        ConfigError: an option is unknown or out of range.
        WeightsError: the config of the weights does not fit their method.
    """
    chosen = _method_of(weights, method)
    try:
        config = config_from_dict(chosen.config, weights.config if weights else {})
    except ConfigError as error:
        raise WeightsError(
            f"the weights do not fit this version of maskcast: {error.summary}"
        ) from error
    return chosen, with_options(config, options_in_force(weights, options or {}))


def options_in_force(weights: Weights | None, options: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that differ from those in the file of the weights, as text.

    Weights in the package, selected by name, have settings beyond those in their file
    (``Method.shipped_settings``). An option that resets such a setting to its value in the file is
    left out, because the result is that of the file without options.

    Args:
        weights: the weights; None has no such settings.
        options: options as given by the user; those for other settings are returned unchanged.

    Raises:
        UsageError: the method of the weights is unknown.
        ConfigError: an option is unknown or out of range.
    """
    if weights is None or not weights.shipped:
        return dict(options)
    method = _method_of(weights, None)
    usual = method.shipped_settings.get(weights.name, {})
    in_file = config_from_dict(method.config, weights.config)
    full_names = {short_name: full_name(in_file, short_name) for short_name in options}
    in_force = {name: text for name, text in usual.items() if name not in full_names.values()}
    for short_name, text in options.items():
        as_in_file = with_options(in_file, {short_name: text}) == in_file
        if not (full_names[short_name] in usual and as_in_file):
            in_force[short_name] = text
    return in_force


def choose_weights(name: str | None, method: str | None) -> Weights:
    """Read weights by name or file, or the default weights of a method, or of the package.

    Raises:
        UsageError: the method is unknown, or is not that of the weights.
        MissingFileError, WeightsError: there are no such weights, or they are damaged; see
            ``locate_weights`` and ``read_weights``.
    """
    chosen = locate_weights(name, method)
    weights = read_weights(chosen, published_files())
    _method_of(weights, method)
    if name is None and method is not None:
        theirs = METHODS[method].published.keys()
        installed = sorted(theirs & {file.name for file in installed_weights()})
        if installed and chosen not in theirs:
            names = ", ".join(installed)
            log.warning(
                "%s is used; the authors' weights of %s are installed as %s", chosen, method, names
            )
    return weights


def locate_weights(name: str | None, method: str | None) -> str:
    """Return the name or file of weights as ``choose_weights`` does, without reading them.

    Raises:
        UsageError: the method is unknown.
        MissingFileError: no file exists at the path.
        WeightsError: weights with this name are not installed, or the method has no default
            weights; the message says where to get some.
    """
    if method is not None:
        _known(method)
    if name is not None or method is None:
        chosen = DEFAULT_WEIGHTS if name is None else name
        find_weights(chosen, published_files())
        return chosen
    default = METHODS[method].default_weights
    if default is None:
        raise WeightsError(
            f"no weights of {method} are included; {_where_to_get(method)}",
            options=("method", "published_files", "import_weights", "recipes"),
        )
    try:
        find_weights(default, published_files())
    except WeightsError as error:
        raise WeightsError(
            f"{error.summary}, or {_TRAIN}", options=("method", *error.options, "recipes")
        ) from error
    return default


def published_files() -> dict[str, PublishedFile]:
    """Return the authors' files of all methods, by the names of their weights in maskcast."""
    return {name: file for method in METHODS.values() for name, file in method.published.items()}


def _known(method: str) -> Method[Any]:
    if method not in METHODS:
        raise UsageError(
            f"unknown method {method!r}; available: {', '.join(METHODS) or 'none'}",
            options=("method",),
        )
    return METHODS[method]


def _method_of(weights: Weights | None, method: str | None) -> Method[Any]:
    if weights is None:
        if method is None:
            raise UsageError(
                "neither weights nor a method given; give one of them",
                options=("weights", "method"),
            )
        return _known(method)
    if method not in (None, weights.method):
        raise UsageError(
            f"the weights {weights.name} are for {weights.method}, not for {method}",
            options=("weights", "method"),
        )
    if weights.method not in METHODS:
        raise WeightsError(
            f"the weights {weights.name} are for {weights.method!r}, which this version does not "
            f"have; available: {', '.join(METHODS) or 'none'}"
        )
    return METHODS[weights.method]


def _where_to_get(method: str) -> str:
    pages = sorted({file.page for file in METHODS[method].published.values()})
    if not pages:
        return _TRAIN
    return f"import a file of the authors from {' or '.join(pages)}, or {_TRAIN}"
