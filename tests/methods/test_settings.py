"""Whatever can be set on a command line says there what it is."""

from __future__ import annotations

import pytest

from maskcast.core.config import settings_of
from maskcast.methods.catalogue import METHODS
from maskcast.methods.recipes import RECIPES


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_of_a_method_and_its_recipes_has_words(method: str) -> None:
    configs = [METHODS[method].config(), *(recipe.config for recipe in RECIPES[method].values())]
    silent = {s.name for config in configs for s in settings_of(config) if not s.description}
    assert not silent
