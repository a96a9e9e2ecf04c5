"""Every setting of every recipe survives ``config.json``, and can be given on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from maskcast.cli.train import parse, recipes
from maskcast.core.config import config_from_dict, config_to_dict, settings_of

RECIPES = recipes()


@pytest.mark.parametrize("name", RECIPES)
def test_a_config_file_gives_every_setting_back(name: str):
    config = RECIPES[name].config
    written = json.dumps(config_to_dict(config))
    assert config_from_dict(type(config), json.loads(written)) == config


@pytest.mark.parametrize("name", ["lwl-small-crop", "agame-small", "eosvos-small"])
def test_every_setting_can_be_given_on_the_command_line(name: str):
    """All those of a recipe, over the defaults of another."""
    config = RECIPES[name].config
    other = type(config)()
    assert other != config
    arguments = [text for setting in settings_of(config) for text in as_arguments(setting)]
    assert parse(arguments, other, name=name, title="x")[1] == config


def as_arguments(setting: Any) -> Iterator[str]:
    yield "--" + setting.name.replace("_", "-")
    yield from flat(setting.value)


def flat(value: Any) -> Iterator[str]:
    if not isinstance(value, tuple):
        yield str(value)
        return
    for each in value:
        yield from flat(each)
