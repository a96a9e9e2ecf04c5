"""The training recipes of all methods; only commands that train or list recipes import this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskcast.core.training import Recipe
from maskcast.methods.agame.training.recipes import RECIPES as AGAME
from maskcast.methods.eosvos.training.recipes import RECIPES as EOSVOS
from maskcast.methods.lwl.training.recipes import RECIPES as LWL

RECIPES: dict[str, Mapping[str, Recipe[Any]]] = {"lwl": LWL, "agame": AGAME, "eosvos": EOSVOS}
"""Recipes by name of the method and name of the recipe; names of recipes are unique."""

EARLIER_NAMES = {"lwl-small-2": "lwl-small", "lwl-small-crop": "lwl-small-0.1-crop"}
"""Recipes that were renamed: the earlier name and the present one. ``lwl-small`` of version 0.1 is
now ``lwl-small-0.1``; its run folders still resume, because they record all settings."""


def recipes() -> dict[str, Recipe[Any]]:
    """Return the recipes of all methods by name."""
    return {name: recipe for recipes in RECIPES.values() for name, recipe in recipes.items()}
