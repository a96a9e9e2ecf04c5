"""Settings: nonsense is refused, and the published ones are what the paper says."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from maskcast.core.config import options_from, with_options
from maskcast.core.errors import ConfigError
from maskcast.methods.lwl.config import CropConfig, LearnerConfig, MemoryConfig
from maskcast.methods.lwl.presets import boxinit, printed, ytvos


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (MemoryConfig, {"size": 0}, "memory.size must be at least 1, got 0"),
        (MemoryConfig, {"update_rate": 1.0}, "update_rate must be in .0, 1., got 1.0"),
        (MemoryConfig, {"minimum_first_weight": 1.0}, "minimum_first_weight .* got 1.0"),
        (
            MemoryConfig,
            {"decay_from_first": True, "equal_second_weight": True},
            "exclude each other",
        ),
        (LearnerConfig, {"initial_steps": 0}, "initial_steps must be at least 1, got 0"),
        (LearnerConfig, {"update_steps": -1}, "update_steps must be at least 0, got -1"),
        (LearnerConfig, {"update_every": 0}, "update_every must be at least 1, got 0"),
        (CropConfig, {"size": (480, 31)}, r"crop.size must be at least 32, got \(480, 31\)"),
        (CropConfig, {"search_area": 0.0}, "search_area must be greater than 0, got 0.0"),
        (CropConfig, {"scale_change": (1.01, 1.1)}, r"low <= 1 <= high, got \(1.01, 1.1\)"),
        (CropConfig, {"minimum_mass": 0.0}, "minimum_mass must be greater than 0, got 0.0"),
    ],
)
def test_nonsense_is_refused_at_construction(kind, settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        kind(**settings)


@pytest.mark.parametrize(
    ("config", "learner", "rate", "minimum", "takes_boxes"),
    [(ytvos(), (20, 3, 1), 0.1, 0.25, False), (boxinit(), (20, 5, 5), 0.2, 0.0, True)],
    ids=["ytvos", "boxinit"],
)
def test_the_published_settings(config, learner, rate, minimum, takes_boxes) -> None:
    """Learner: first steps, later ones, and after how many frames; shares in the memory."""
    assert tuple(vars(config.learner).values()) == learner
    assert (config.memory.size, config.memory.update_rate) == (32, rate)
    assert config.memory.minimum_first_weight == minimum
    assert config.memory.equal_second_weight == config.network.box_encoder == takes_boxes
    assert (config.crop.size, config.crop.search_area) == ((480, 832), 5.0)


def test_the_options_in_the_readme_are_the_paper_as_printed() -> None:
    text = files("maskcast.methods.lwl").joinpath("README.md").read_text("utf-8")
    options = options_from(re.findall(r"--option (\w+=\w+)", text))
    assert with_options(ytvos(), options) == printed()
