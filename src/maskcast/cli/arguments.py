"""Arguments that several commands take, and how their help shows them."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import tyro
from tyro.conf import UseAppendAction


def shown_as(placeholder: str, hint: str = "") -> Any:
    """Annotate an argument: what stands for its value, and a hint in place of the default."""
    return tyro.conf.arg(metavar=placeholder, help_behavior_hint=hint)


Weights: TypeAlias = Annotated[str | None, shown_as("NAME|FILE")]
MethodName: TypeAlias = Annotated[str | None, shown_as("NAME")]
Options: TypeAlias = Annotated[
    UseAppendAction[tuple[str, ...]], shown_as("NAME=VALUE", "(repeatable)")
]
