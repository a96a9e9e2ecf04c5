"""Say in one line what the argument parser prints in a box."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

_TITLE = re.compile(r"^╭─ (.*?) ─")
_RULE = re.compile("─+")
_CHOICE = re.compile(r"invalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*)\)\.$")
_VALUE = re.compile(r"Error parsing (\S+): (.*)$")
_NO_VALUE = re.compile(r"Missing value for argument '(.*)'")
_KINDS_OF_NUMBERS = (
    (re.compile(r"invalid literal for int\(\) with base 10: ('.*')$"), "a whole number"),
    (re.compile(r"could not convert string to float: ('.*')$"), "a number"),
)


def in_one_line(box: str, prog: str) -> str | None:
    """Return the message of a box in one line.

    Args:
        box: what the parser has printed, without colours, on lines so wide that nothing wraps.
        prog: the command, such as ``maskcast segment``.

    Returns:
        the message, or None for a kind of box that is not known.
    """
    title = _TITLE.match(box)
    lines = _message(box)
    if title is None or not lines:
        return None
    if title[1] == "Required options":
        return _missing(lines[1:], prog)
    if match := _CHOICE.match(lines[0]):
        return _not_a_choice(match[2], match[1], sorted(re.findall("'(.*?)'", match[3])))
    if match := _VALUE.match(lines[0]):
        return _not_of_its_type(match[1], [match[2], *lines[1:]], prog)
    if match := _NO_VALUE.match(lines[0]):
        return f"{match[1]}: the value is missing; {prog} --help shows the arguments"
    return None


def _message(box: str) -> list[str]:
    """Return the lines above the first rule, without the border; indentation is kept."""
    lines: list[str] = []
    for line in box.splitlines()[1:]:
        text = line.removeprefix("│ ").removesuffix("│").rstrip()
        if _RULE.fullmatch(text) or not line.startswith("│"):
            break
        lines.append(text)
    return lines


def _missing(lines: Sequence[str], prog: str) -> str | None:
    """Return which arguments are missing; their help texts are indented further than they are."""
    names = [
        re.sub(r"^-\w \S+, ", "", line.strip()).split(" ")[0]
        for line in lines
        if re.match(r" {4}\S", line)
    ]
    if not names:
        return None
    *first, last = names
    listed = f"{', '.join(first)} and {last} are" if first else f"{last} is"
    return f"{listed} missing; {prog} --help shows the arguments"


def _not_a_choice(name: str, value: str, choices: Sequence[str]) -> str:
    choices = [choice for choice in choices if choice != "None"]
    near = get_close_matches(value, choices, n=1)
    near = near or [choice for choice in choices if value and choice.startswith(value)][:1]
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{_shown(name)}: {value!r} is not one of {', '.join(choices)}{hint}"


def _not_of_its_type(name: str, reasons: Sequence[str], prog: str) -> str:
    for reason in reversed(reasons):
        for pattern, kind in _KINDS_OF_NUMBERS:
            if match := pattern.search(reason):
                return f"{_shown(name)}: {match[1]} is not {kind}"
    return f"{_shown(name)}: {reasons[0].rstrip('.')}; {prog} --help describes it"


def _shown(name: str) -> str:
    """Return an argument as the help shows it: those without a flag in capitals."""
    return name if name.startswith("-") else name.upper()
