"""Arguments that several commands take, and how their help shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import tyro
from tyro.conf import UseAppendAction

from maskcast.core.device_names import DeviceName

PARSER_SETTINGS = (tyro.conf.FlagCreatePairsOff, tyro.conf.PositionalMetavarFromFieldName)
"""How the parser reads every command: ``--flag`` has no ``--no-flag``, and arguments that have no
flag are named after their parameter."""


def shown_as(placeholder: str, hint: str | None = "", *, short: str | None = None) -> Any:
    """Return an annotation that says how the help shows an argument.

    Args:
        placeholder: text that stands for the value.
        hint: text shown instead of the default; None shows the default, or "required".
        short: a short form of the flag, such as ``-o``.
    """
    aliases = None if short is None else [short]
    return tyro.conf.arg(metavar=placeholder, help_behavior_hint=hint, aliases=aliases)


def repeatable(placeholder: str) -> Any:
    """Return an annotation that shows an option as repeatable, with text for each value."""
    return shown_as(placeholder, "(repeatable)")


WeightsArgument: TypeAlias = Annotated[str | None, shown_as("NAME|FILE")]
MethodName: TypeAlias = Annotated[str | None, shown_as("NAME")]
Texts: TypeAlias = UseAppendAction[tuple[str, ...]]
"""Texts of an option that may be given several times."""
Options: TypeAlias = Annotated[Texts, repeatable("NAME=VALUE")]
Device: TypeAlias = Annotated[DeviceName, shown_as("NAME", None)]
Split: TypeAlias = Annotated[str | None, shown_as("NAME")]
Resolution: TypeAlias = Annotated[str | None, shown_as("NAME")]
Folder: TypeAlias = Annotated[Path, shown_as("FOLDER", None)]
"""A folder that is required or has a default."""
ListFile: TypeAlias = Annotated[Path | None, shown_as("FILE")]

EXPORT_GROUPS = {
    "pictures and videos": (
        "--overlay",
        "--labels",
        "--outlines",
        "--contact-sheet",
        "--cutout",
        "--matte",
        "--green-screen",
        "--effect",
        "--objects",
        "--merged",
        "--rate",
        "--start-number",
        "--no-sound",
    ),
    "edges": ("--edges", "--grow", "--feather", "--fill-holes"),
}
"""Boxes of the help text for options of ``Exports``."""
