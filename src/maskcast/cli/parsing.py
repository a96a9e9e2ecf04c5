"""Parse the arguments of a command: help in groups, errors that name the nearest options."""

from __future__ import annotations

import functools
import inspect
import io
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, TypeAlias

from maskcast.cli.parser_errors import in_one_line
from maskcast.cli.terminal import columns_limited_to, columns_of
from maskcast.core.config import settings_of
from maskcast.core.errors import UsageError

OptionGroups: TypeAlias = Mapping[str, Sequence[str]]
"""Titles of the boxes in a help text, and the long flags in each; a box without flags has all
others."""

WIDEST_HELP = 100
"""Columns of a help text on wider terminals; the parser would set it in two columns."""
WIDEST_BOX = 10_000
"""Columns in which an error of the parser does not wrap."""
MOST_HINTS, LEAST_SIMILARITY = 2, 0.75

_ABOUT = "\ue000"
"""Stands for the description while the parser prints help, because it joins lines of it."""
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_FLAG = re.compile(r"(?<![\w-])--?[A-Za-z][\w.-]*")
_OPTION = re.compile(r"│ (?:-\w\b.*?, )?(--[\w.-]+)")
"""The first line of an option in a help text; it has the long flag."""
_OPTIONS_BOX = re.compile(r"^╭─ options ─.*?^╰─*╯\n", flags=re.MULTILINE | re.DOTALL)


def parse(
    target: Callable[..., Any],
    arguments: Sequence[str],
    *,
    prog: str,
    description: Callable[[], str],
    groups: OptionGroups | None = None,
) -> Any:
    """Call a typed function, or a dataclass, with the arguments of a command line.

    Args:
        target: what is called.
        arguments: the words after ``prog``.
        prog: the command, such as ``maskcast segment``.
        description: returns the text above the options, for the width at the time of the call.
        groups: boxes of the help text.

    Raises:
        UsageError: an argument is unknown, missing or invalid; near names are mentioned.
        SystemExit: a help text was printed, or an error of the parser that has no short form.
    """
    for parameter in inspect.signature(target).parameters.values():
        if is_dataclass(parameter.default):
            unwrap_descriptions(parameter.default)
    with columns_limited_to(WIDEST_HELP):
        call, unknown = _parsed(target, arguments, prog, description(), groups or {})
    if unknown:
        raise _unknown(unknown, prog, lambda: _flags(target, prog))
    return call()


def unwrap_descriptions(settings: Any) -> None:
    """Join each field's description into one line, because the parser keeps some line breaks.

    Args:
        settings: an instance of a dataclass, whose fields are changed in place.
    """
    descriptions = {setting.name: setting.description for setting in settings_of(settings)}
    for setting in fields(settings):
        value = getattr(settings, setting.name)
        if is_dataclass(value):
            unwrap_descriptions(value)
        elif text := descriptions.get(setting.name):
            metadata = {**setting.metadata, "help": text.replace("``", "")}
            setting.metadata = MappingProxyType(metadata)


def _parsed(
    target: Callable[..., Any],
    arguments: Sequence[str],
    prog: str,
    description: str,
    groups: OptionGroups,
) -> tuple[Callable[[], Any], Sequence[str]]:
    """Return a call of the target that remains to be made, and the unknown words."""
    import tyro

    from maskcast.cli.arguments import PARSER_SETTINGS

    printed, complaint = _Captured(), io.StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(complaint):
            call, unknown = tyro.cli(
                _delayed(target),
                prog=prog,
                description=_ABOUT if description else "",
                args=arguments,
                config=PARSER_SETTINGS,
                return_unknown_args=True,
            )
    except SystemExit as ended:
        # an unknown option in front takes the words after it along, so that arguments seem missing
        if ended.code and (unknown := _unknown_flags(arguments, _flags(target, prog))):
            raise _unknown(unknown, prog, lambda: _flags(target, prog)) from None
        if ended.code and (message := _message_of_parser(target, arguments, prog)):
            raise UsageError(message) from None
        print(in_groups(printed.getvalue().replace(_ABOUT, description), groups), end="")
        print(complaint.getvalue(), end="", file=sys.stderr)
        raise
    return (lambda: call) if isinstance(target, type) else call, unknown


def _message_of_parser(
    target: Callable[..., Any], arguments: Sequence[str], prog: str
) -> str | None:
    """Return why the parser rejects arguments, in one line, or None if its box is not known."""
    import tyro

    from maskcast.cli.arguments import PARSER_SETTINGS

    box = io.StringIO()
    with columns_of(WIDEST_BOX), redirect_stderr(box), suppress(SystemExit):
        tyro.cli(
            _delayed(target),
            prog=prog,
            args=arguments,
            config=PARSER_SETTINGS,
            return_unknown_args=True,
        )
    return in_one_line(_ANSI.sub("", box.getvalue()), prog)


def _delayed(target: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that takes the arguments of another one, and returns the call of it.

    The parser calls what it is given before unknown words are known. A class is returned as it is:
    making an instance has no effects.
    """
    if isinstance(target, type):
        return target

    @functools.wraps(target)
    def delayed(*positional: Any, **named: Any) -> Callable[[], Any]:
        return functools.partial(target, *positional, **named)

    return delayed


class _Captured(io.StringIO):
    """A text stream with the encoding and the colours of standard output."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(sys.__stdout__, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        return sys.__stdout__ is not None and sys.__stdout__.isatty()


def _unknown_flags(arguments: Sequence[str], known: Sequence[str]) -> list[str]:
    flags = [word.partition("=")[0] for word in arguments if re.match("--[A-Za-z]", word)]
    return [flag for flag in flags if flag.replace("_", "-") not in known]


def _unknown(words: Sequence[str], prog: str, flags: Callable[[], Sequence[str]]) -> UsageError:
    word = next((word for word in words if word.startswith("-")), None)
    if word is None:
        return UsageError(f"unexpected argument {words[0]!r}; {prog} --help shows the arguments")
    flag = word.partition("=")[0]
    known = flags()
    near = [name for name in known if name.startswith(flag)][:MOST_HINTS]
    near = near or get_close_matches(flag, known, MOST_HINTS, LEAST_SIMILARITY)
    hint = f"did you mean {' or '.join(near)}?" if near else f"{prog} --help lists the options"
    return UsageError(f"unknown option {flag}; {hint}")


def _flags(target: Callable[..., Any], prog: str) -> list[str]:
    """Return the flags of a command, as its help text shows them."""
    import tyro

    from maskcast.cli.arguments import PARSER_SETTINGS

    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed), suppress(SystemExit):
        tyro.cli(target, prog=prog, args=["--help"], config=PARSER_SETTINGS)
    return list(dict.fromkeys(_FLAG.findall(printed.getvalue())))


def in_groups(text: str, groups: OptionGroups) -> str:
    """Divide the box "options" of a help text into one box for each group.

    Args:
        text: the help text, with or without colours.
        groups: titles of the boxes and the flags in each.
    """
    plain = _ANSI.sub("", text)
    box = _OPTIONS_BOX.search(plain)
    if not groups or box is None:
        return text
    first = plain[: box.start()].count("\n")
    lines = text.splitlines(keepends=True)
    top, *inside, bottom = lines[first : first + box[0].count("\n")]
    boxes = [
        line
        for title, content in _sorted_into(groups, inside).items()
        if content
        for line in (_with_title(top, title), *content, bottom)
    ]
    return "".join([*lines[:first], *boxes, *lines[first + len(inside) + 2 :]])


def _sorted_into(groups: OptionGroups, lines: Sequence[str]) -> dict[str, list[str]]:
    """Return the lines of a box by group; those of an option follow the one with its flag."""
    others = next((title for title, flags in groups.items() if not flags), "other")
    title_of = {flag: title for title, flags in groups.items() for flag in flags}
    boxes: dict[str, list[str]] = {title: [] for title in (*groups, others)}
    title = others
    for line in lines:
        if option := _OPTION.match(_ANSI.sub("", line)):
            title = title_of.get(option[1], others)
        boxes[title].append(line)
    return boxes


def _with_title(line: str, title: str) -> str:
    """Return the upper border of the box "options" with another title and the same width."""
    longer = len(title) - len("options")
    titled = line.replace("options", title, 1)
    return re.sub("──+", lambda dashes: "─" * (len(dashes[0]) - longer), titled, count=1)
