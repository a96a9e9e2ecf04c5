"""Recipes are those of the publication."""

from __future__ import annotations

from dataclasses import replace

import pytest

from maskcast.core.config import config_from_dict, config_to_dict
from maskcast.methods.agame.training.config import AgameTrainingConfig
from maskcast.methods.agame.training.recipes import RECIPES


def test_recipes_are_those_of_the_publication() -> None:
    one, two = RECIPES["agame-stage1"].config, RECIPES["agame-stage2"].config
    assert (one.snippets.size, one.snippets.length, one.loop.batch_size) == ((240, 432), 8, 4)
    assert (two.snippets.size, two.snippets.length, two.loop.batch_size) == ((480, 864), 14, 2)
    assert (one.loop.epochs, two.loop.epochs) == (160, 100)
    rates = [(c.loop.optimiser.kind, c.loop.optimiser.rate) for c in (one, two)]
    assert rates == [("adam", 1e-4), ("adam", 1e-5)]
    assert [c.loop.optimiser.weight_decay for c in (one, two)] == [1e-5, 1e-6]
    assert [c.loop.schedule.factor for c in (one, two)] == [0.975, 0.985]
    assert (one.auxiliary, two.auxiliary) == (1.0, 0.0)
    assert (one.data.epoch, two.data.epoch) == ("pass", "balanced")
    davis = RECIPES["agame-davis-stage1"].config
    assert (davis.loop.epochs, davis.loop.schedule.factor) == (80, 0.95)
    assert (davis.data.draws, davis.snippets.zoom) == (2600, True)
    later = RECIPES["agame-davis-stage2"].config
    assert (later.data.draws, later.snippets.zoom, later.loop.epochs) == (118, False, 100)


def test_youtube_vos_alone_has_the_steps_of_the_publication() -> None:
    both, alone = RECIPES["agame-stage2"].config, RECIPES["agame-youtube-stage2"].config
    assert RECIPES["agame-youtube-stage1"].config == RECIPES["agame-stage1"].config
    assert replace(alone, data=both.data) == both
    assert (alone.data.epoch, alone.data.draws) == ("draws", 2 * 59)  # 59 videos of DAVIS


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_go_through_json(name: str) -> None:
    config = RECIPES[name].config
    assert config_from_dict(AgameTrainingConfig, config_to_dict(config)) == config
