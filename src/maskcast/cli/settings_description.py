"""Describe the settings of a method or of weights in lines of text, for ``maskcast info``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from maskcast.core.config import Setting, settings_of

ARCHITECTURE = "network."
"""Settings that weights fix, and that nobody changes when segmenting."""
WIDTH = 100


def described_settings(default: Any, *, all_settings: bool) -> Iterator[str]:
    """Yield each setting of a method: name, default, type, and description.

    Args:
        default: the config of the method.
        all_settings: include those of the network.
    """
    settings, hidden = _chosen(default, all_settings)
    for setting in settings:
        yield f"  {setting.name} = {setting.value}  ({setting.type_name})"
        if setting.description:
            yield from textwrap.wrap(
                setting.description.replace("``", ""),
                WIDTH,
                initial_indent=" " * 6,
                subsequent_indent=" " * 6,
            )
    yield from _about_hidden(hidden)


def effective_settings(config: Any, default: Any, *, all_settings: bool) -> Iterator[str]:
    """Yield each setting in force; those that differ from the default are marked with a star.

    Args:
        config: the settings in force.
        default: the config of the method.
        all_settings: include those of the network.
    """
    defaults = {setting.name: setting.value for setting in settings_of(default)}
    settings, hidden = _chosen(config, all_settings)
    width = max((len(setting.name) for setting in settings), default=0)
    for setting in settings:
        usual = defaults[setting.name]
        mark, note = (" ", "") if setting.value == usual else ("*", f"  (default: {usual})")
        yield f"{mark} {setting.name:<{width}}  {setting.value}{note}"
    yield from _about_hidden(hidden)


def _chosen(config: Any, all_settings: bool) -> tuple[Sequence[Setting], int]:
    """Return the settings to show, and the number of the others."""
    settings = list(settings_of(config))
    shown = [s for s in settings if all_settings or not s.name.startswith(ARCHITECTURE)]
    return shown, len(settings) - len(shown)


def _about_hidden(count: int) -> Iterator[str]:
    if count:
        yield f"  and {count} settings {ARCHITECTURE}*, which the weights fix; --all shows them"
