"""Arguments that several commands take, and how their help shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import tyro
from tyro.conf import UseAppendAction

from maskcast.core.device_names import DeviceName


def shown_as(placeholder: str, hint: str | None = "", *, short: str | None = None) -> Any:
    """Annotate an argument: what stands for its value, a hint in place of the default (None: the
    default, or that it is required), and a short name."""
    aliases = None if short is None else [short]
    return tyro.conf.arg(metavar=placeholder, help_behavior_hint=hint, aliases=aliases)


Weights: TypeAlias = Annotated[str | None, shown_as("NAME|FILE")]
MethodName: TypeAlias = Annotated[str | None, shown_as("NAME")]
Options: TypeAlias = Annotated[
    UseAppendAction[tuple[str, ...]], shown_as("NAME=VALUE", "(repeatable)")
]
Device: TypeAlias = Annotated[DeviceName, shown_as("NAME", None)]
Split: TypeAlias = Annotated[str | None, shown_as("NAME")]
Resolution: TypeAlias = Annotated[str | None, shown_as("NAME")]
Folder: TypeAlias = Annotated[Path, shown_as("FOLDER", None)]
"""One that has to be given, or has a default."""
ListFile: TypeAlias = Annotated[Path | None, shown_as("FILE")]
