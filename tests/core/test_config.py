"""Settings by name, from text and from JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Literal

import pytest

from maskcast.core.config import (
    config_from_dict,
    config_to_dict,
    in_words,
    options_from,
    settings_of,
    with_options,
)
from maskcast.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A part of a config."""

    steps: int = 3
    """Steps after
    each frame."""
    rate: float | None = None

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ConfigError(f"steps must not be negative, got {self.steps}")


@dataclass(frozen=True, kw_only=True)
class Whole:
    learner: Learner = field(default_factory=Learner)
    other: Learner = field(default_factory=lambda: Learner(steps=7))
    size: tuple[int, int] = (480, 832)
    widths: tuple[float, ...] = (1.0,)
    mode: Literal["soft", "hard"] = "soft"
    flip: bool = False
    margin: int = 2


def test_options_reach_nested_settings_with_their_types():
    config = with_options(
        Whole(),
        {
            "learner.steps": "5",
            "learner.rate": "1e-3",
            "size": "240,416",
            "widths": "1,2.5,3",
            "mode": "hard",
            "flip": "yes",
        },
    )
    assert config == Whole(
        learner=Learner(steps=5, rate=0.001),
        size=(240, 416),
        widths=(1.0, 2.5, 3.0),
        mode="hard",
        flip=True,
    )
    assert with_options(config, {"learner.rate": "none"}).learner.rate is None


def test_the_last_part_of_a_name_will_do_where_it_is_unique():
    @dataclass(frozen=True)
    class Outer:
        inner: Whole = field(default_factory=Whole)

    assert with_options(Outer(), {"margin": "4"}).inner.margin == 4
    with pytest.raises(ConfigError, match=r"learner\.steps, other\.steps"):
        with_options(Whole(), {"steps": "1"})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("speed", "1", "no option 'speed'; known: learner.steps"),
        ("margin", "two", "margin takes a whole number, got 'two'"),
        ("margin", "2.5", "whole number"),
        ("size", "480", "size takes a whole number, a whole number"),
        ("mode", "medium", "soft or hard"),
        ("flip", "maybe", "true or false"),
        ("learner.steps", "-1", "must not be negative"),
        ("learner.rate", "nan", "a number or none"),
    ],
)
def test_what_does_not_fit_is_named(name, text, message):
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        with_options(Whole(), {name: text})


def test_a_config_goes_through_json_and_back():
    config = Whole(learner=Learner(steps=1, rate=0.1), size=(3, 4), mode="hard")
    assert config_from_dict(Whole, json.loads(json.dumps(config_to_dict(config)))) == config
    assert config_from_dict(Whole, {"margin": 9}) == Whole(margin=9)
    with pytest.raises(ConfigError, match="size: 2 values expected, got 3"):
        config_from_dict(Whole, {"size": [1, 2, 3]})


@pytest.mark.parametrize(
    "values",
    [{"nope": 1}, {"learner": {"step": 1}}, {"margin": "2"}, {"learner": {"rate": math.nan}}],
)
def test_json_of_another_config_is_refused(values):
    with pytest.raises(ConfigError):
        config_from_dict(Whole, values)


def test_settings_carry_their_description():
    settings = {setting.name: setting for setting in settings_of(Whole())}
    assert settings["other.steps"].value == 7
    assert settings["learner.steps"].description == "Steps after each frame."
    assert settings["learner.rate"].type_name == "a number or none"


def test_values_in_words():
    card = {"end": None, "on": True, "sizes": [240, 416], "seconds": {"model": 1.5}, "notes": []}
    expected = "end: none, on: true, sizes: (240 416), seconds: (model: 1.5), notes: none"
    assert in_words(card) == expected


def test_options_are_taken_apart_at_the_first_equals_sign():
    assert options_from(["a.b=1", " c = x=y", "a.b=2"]) == {"a.b": "2", "c": "x=y"}
    for wrong in ("a", "=1", ""):
        with pytest.raises(ConfigError, match="NAME=VALUE"):
            options_from([wrong])
