"""Flags of a command for the parameters that a library error names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

COMMANDS = {
    "evaluate_dataset": "maskcast evaluate",
    "import_weights": "maskcast weights import",
    "published_files": "maskcast weights list",
    "recipes": "maskcast train --list",
    "score_results": "maskcast score",
}
"""Functions that an error may name besides parameters, and the commands for them."""


@dataclass(frozen=True)
class Flags:
    """How a command takes its parameters."""

    by_parameter: Mapping[str, str] = field(default_factory=dict)
    takes_settings: bool = False
    """Dotted names (``loop.workers``), the settings of a training recipe, are flags too."""

    def in_parentheses(self, options: Iterable[str]) -> str:
        """Return ``" (--masks, --box)"``; empty if there is no flag or command for any of them."""
        shown = ", ".join(dict.fromkeys(filter(None, map(self._shown, options))))
        return f" ({shown})" if shown else ""

    def _shown(self, option: str) -> str | None:
        if "." not in option:
            return self.by_parameter.get(option, COMMANDS.get(option))
        if self.takes_settings:
            return _flag(option)
        return f"--option {option}" if "option" in self.by_parameter else None


def flags_of(function: Callable[..., Any]) -> Flags:
    """Return the flags of a command, a typed function.

    Keyword-only parameters are flags, and so are the fields of a dataclass among their defaults;
    positional parameters are shown as their placeholder.
    """
    flags: dict[str, str] = {}
    for parameter in inspect.signature(function).parameters.values():
        if is_dataclass(parameter.default):
            flags |= flags_of_fields(parameter.default)
        elif parameter.kind is parameter.KEYWORD_ONLY:
            flags[parameter.name] = _flag(parameter.name)
        else:
            flags[parameter.name] = parameter.name.upper()
    return Flags(flags)


def flags_of_fields(group: Any) -> dict[str, str]:
    """Return the flags of a dataclass, or of an instance, whose fields are options."""
    return {each.name: _flag(each.name) for each in fields(group)}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
