"""Every setting of every recipe survives ``config.json``, and can be given on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import permutations
from typing import Any

import pytest

from maskcast.cli.train import parse
from maskcast.core.config import config_from_dict, config_to_dict, settings_of
from maskcast.methods.catalogue import METHODS
from maskcast.methods.recipes import RECIPES, recipes

ALL = recipes()


def farthest_apart(names: Iterable[str]) -> tuple[str, str]:
    """Return two recipes of one kind of config that differ in most settings."""
    pairs = [
        (first, second)
        for first, second in permutations(names, 2)
        if type(ALL[first].config) is type(ALL[second].config)
    ]
    return max(pairs, key=lambda pair: len(settings(pair[0]) ^ settings(pair[1])))


@cache
def settings(name: str) -> frozenset[tuple[str, str]]:
    return frozenset(flattened(config_to_dict(ALL[name].config)))


def flattened(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, str(value)


@pytest.mark.parametrize("name", ALL)
def test_a_config_file_gives_every_setting_back(name: str):
    config = ALL[name].config
    written = json.dumps(config_to_dict(config))
    assert config_from_dict(type(config), json.loads(written)) == config


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_can_be_given_on_the_command_line(method: str):
    """All those of a recipe, over those of another."""
    name, another = farthest_apart(RECIPES[method])
    config, other = ALL[name].config, ALL[another].config
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
