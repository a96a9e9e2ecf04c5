"""Settings: nonsense is refused, options reach them, defaults are the published ones."""

from __future__ import annotations

import pytest

from maskcast.core.config import config_from_dict, config_to_dict, with_options
from maskcast.core.errors import ConfigError
from maskcast.core.training import LoopConfig
from maskcast.methods.eosvos.config import EOSVOSConfig, MaskRCNNConfig
from maskcast.methods.eosvos.presets import tiny
from maskcast.methods.eosvos.training.config import (
    InnerLoopConfig,
    MetaTrainingConfig,
    ParentTrainingConfig,
)

COMPILED = LoopConfig(compile=True)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (
            MaskRCNNConfig,
            {"trunk": "efficientnet-lite0"},
            "norm must be frozen_bn and network.pyramid_channels a multiple of 16, got group",
        ),
        (EOSVOSConfig, {"inner_batch": 0}, "inner_batch must be at least 1, got 0"),
        (EOSVOSConfig, {"mask_threshold": 1.5}, "must be in .0, 1., got 1.5"),
        (
            MaskRCNNConfig,
            {"min_side": 100, "max_side": 90},
            "max_side must be at least 100, got 90",
        ),
        (MaskRCNNConfig, {"anchor_sizes": (32,)}, "anchor_sizes must have 5 values"),
        (MaskRCNNConfig, {"trunk_width": 48}, "multiple of network.norm_groups, got 48 and 32"),
        (InnerLoopConfig, {"step_weights": (1.0,)}, "one value per inner step .5., got 1"),
        (MetaTrainingConfig, {"start_rate": 0.0, "rate_rate": 0.0}, "must be greater than 0"),
        (ParentTrainingConfig, {}, "rate_level must be single"),
        (MetaTrainingConfig, {"loop": COMPILED}, "e-OSVOS does not support loop.compile"),
        (ParentTrainingConfig, {"loop": COMPILED}, "e-OSVOS does not support loop.compile"),
    ],
)
def test_nonsense_is_refused_at_construction(kind, settings, message):
    with pytest.raises(ConfigError, match=message):
        kind(**settings)


def test_options_of_the_command_line_reach_every_setting():
    options = {"inner_steps": "50", "online_adaptation": "true", "mask_loss": "bce"}
    config = with_options(EOSVOSConfig(), options)
    assert (config.inner_steps, config.online_adaptation) == (50, True)
    assert config.network.mask_loss == "bce"
    assert config_from_dict(EOSVOSConfig, config_to_dict(config)) == config


def test_defaults_are_those_of_the_published_system():
    config = EOSVOSConfig()
    assert (config.inner_steps, config.inner_batch, config.adaptation_interval) == (10, 3, 5)
    assert (config.adaptation_steps, config.propagation, config.rate_level) == (
        10,
        "extend",
        "neuron",
    )
    network = config.network
    assert (network.min_side, network.max_side, network.mask_pool) == (800, 1333, 28)
    assert (network.score_threshold, network.nms_threshold) == (0.5, 0.5)
    assert tiny().network.trunk == "resnet10"
