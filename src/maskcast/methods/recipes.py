"""Which training recipes each method has; only commands that train or list them import this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskcast.core.training import Recipe
from maskcast.methods.agame.training.recipes import RECIPES as AGAME
from maskcast.methods.eosvos.training.recipes import RECIPES as EOSVOS
from maskcast.methods.lwl.training.recipes import RECIPES as LWL

RECIPES: dict[str, Mapping[str, Recipe[Any]]] = {"lwl": LWL, "agame": AGAME, "eosvos": EOSVOS}
"""By name of the method, then by name of the recipe. Names of recipes are unique."""


def recipes() -> dict[str, Recipe[Any]]:
    """Return the recipes of all methods by name."""
    return {name: recipe for found in RECIPES.values() for name, recipe in found.items()}
