"""Translate the parameters that a library error names into flags of the command."""

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
"""Functions that an error may name instead of a parameter, and the commands that call them."""


@dataclass(frozen=True)
class Flags:
    """The flags of a command."""

    by_parameter: Mapping[str, str] = field(default_factory=dict)
    takes_settings: bool = False
    """Whether settings of a training recipe, which have dotted names (``loop.workers``), are flags
    as well."""

    def in_parentheses(self, options: Iterable[str]) -> str:
        """Return the flags, such as ``" (--masks, --box)"``; empty if no option has one."""
        shown = ", ".join(dict.fromkeys(filter(None, map(self._shown, options))))
        return f" ({shown})" if shown else ""

    def _shown(self, option: str) -> str | None:
        if "." not in option:
            return self.by_parameter.get(option, COMMANDS.get(option))
        if self.takes_settings:
            return _flag(option)
        return f"--option {option}" if "option" in self.by_parameter else None


def flags_of(function: Callable[..., Any]) -> Flags:
    """Return the flags of a command, which is a typed function.

    Each keyword-only parameter is a flag; if its default is a dataclass, each field of that is one.
    Positional parameters are shown by their placeholder.
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
    """Return the flags for the fields of a dataclass or of an instance of one."""
    return {option.name: _flag(option.name) for option in fields(group)}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
