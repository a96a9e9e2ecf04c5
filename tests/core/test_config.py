"""Settings by name, from text and from JSON."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Literal

import pytest

from maskcast.core.config import (
    called_before,
    config_from_dict,
    config_to_dict,
    in_words,
    options_from,
    require_choice,
    require_range,
    require_rising,
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
    with pytest.raises(ConfigError, match=r"learner\.steps or other\.steps"):
        with_options(Whole(), {"steps": "1"})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("speed", "1", "unknown setting 'speed'; no setting has a similar name"),
        ("margn", "1", "unknown setting 'margn'; did you mean margin"),
        ("margin", "two", "margin must be an integer, got 'two'"),
        ("margin", "2.5", "must be an integer, got '2.5'"),
        ("size", "480", "size must be an integer, an integer, got '480'"),
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
    with pytest.raises(ConfigError, match=r"size must have 2 values, got \[1, 2, 3\]"):
        config_from_dict(Whole, {"size": [1, 2, 3]})


def test_every_unknown_name_is_listed():
    with pytest.raises(ConfigError, match=r"in Learner: learner\.b, learner\.step; available: rat"):
        config_from_dict(Whole, {"learner": {"step": 1, "b": 2}})


@dataclass(frozen=True)
class Renamed:
    speed: int = field(default=1, metadata=called_before("pace"))


def test_files_may_have_the_earlier_name_of_a_setting():
    assert config_from_dict(Renamed, {"pace": 3}) == config_from_dict(Renamed, {"speed": 3})
    assert config_to_dict(Renamed()) == {"speed": 1}


@dataclass(frozen=True)
class Ranges:
    chance: float = 0.5
    betas: tuple[float, ...] = (0.1, 0.2)
    rate: float | None = 1.0


@pytest.mark.parametrize(
    ("values", "limits", "message"),
    [
        ({"chance": 3}, {"least": 0, "most": 1}, "chance must be in [0, 1], got 3"),
        ({"chance": 0}, {"above": 0, "below": 1}, "chance must be in (0, 1), got 0"),
        ({"chance": math.nan}, {"least": 0}, "chance must be at least 0, got nan"),
        (
            {"betas": (0.5, 1.0)},
            {"least": 0, "below": 1},
            "betas must be in [0, 1), got (0.5, 1.0)",
        ),
        ({"rate": 0.0}, {"above": 0}, "rate must be greater than 0, got 0.0"),
        (
            {"rate": math.inf},
            {"least": 0, "below": math.inf},
            "rate must be finite and at least 0, got inf",
        ),
        (
            {"rate": math.inf},
            {"above": -math.inf, "below": math.inf},
            "rate must be finite, got inf",
        ),
        ({"rate": -1.0}, {"above": 0, "below": math.inf}, "finite and greater than 0, got -1.0"),
        ({"rate": 5.0}, {"most": 4}, "rate must be at most 4, got 5.0"),
        ({"rate": 4.0}, {"below": 4}, "rate must be less than 4, got 4.0"),
    ],
)
def test_a_value_outside_its_range_is_named_with_the_range(values, limits, message):
    names = ("chance", "betas", "rate")
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        require_range(Ranges(**values), *values, **limits)
    assert caught.value.options == tuple(values)
    require_range(Ranges(), *names, above=0, most=1)
    require_range(Ranges(rate=None), *names, above=0, below=1)


@pytest.mark.parametrize(("low", "high"), [("least", "most"), ("above", "below")])
def test_closed_ends_of_a_range_are_allowed_and_open_ones_are_not(low, high):
    for rate in (0.0, 1.0):
        if low == "least":
            require_range(Ranges(rate=rate), "rate", **{low: 0, high: 1})
        else:
            with pytest.raises(ConfigError):
                require_range(Ranges(rate=rate), "rate", **{low: 0, high: 1})


def test_values_that_fall_are_named():
    require_rising(Ranges(betas=(0.1, 0.1, 0.2)), "betas")
    with pytest.raises(
        ConfigError, match=r"must go from low to high, got \(0\.3, 0\.2\)"
    ) as caught:
        require_rising(Ranges(betas=(0.3, 0.2)), "betas")
    assert caught.value.options == ("betas",)


def test_a_value_that_is_no_choice_is_named_with_the_choices():
    require_choice(Whole(), "mode")
    wrong = Whole()
    object.__setattr__(wrong, "mode", "medium")  # past the type checks of the test suite
    with pytest.raises(ConfigError, match=r"^mode must be soft or hard, got 'medium'$"):
        require_choice(wrong, "mode")


def test_the_prefix_is_part_of_the_name():
    with pytest.raises(ConfigError, match=r"^loop\.rate must be at least 2, got 1\.0$") as caught:
        require_range(Ranges(), "rate", least=2, prefix="loop.")
    assert caught.value.options == ("loop.rate",)


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
