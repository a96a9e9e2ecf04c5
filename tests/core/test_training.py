"""Settings of the loop that make no sense are refused."""

from __future__ import annotations

import pytest

from maskcast.core.errors import ConfigError
from maskcast.core.training import LoopConfig


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"epochs": 0}, "loop.epochs must be at least 1, got 0"),
        ({"iterations": 0}, "iterations must be at least 1"),
        ({"keep_last": 0}, "keep_last must be at least 1"),
        ({"workers": -1}, r"workers must be in \[0, 256\], got -1"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"checkpoint_minutes": -1.0}, "checkpoint_minutes must be at least 0, got -1.0"),
        (
            {"batch_size": 5, "accumulate": 2},
            "batch_size must be a multiple of loop.accumulate, got 5 and 2",
        ),
        ({"clip_norm": 0.0}, "clip_norm must be greater than 0, got 0.0"),
        ({"clip_value": -1.0}, "clip_value must be greater than 0, got -1.0"),
        ({"average_decay": 0.0}, r"average_decay must be in \(0, 1\), got 0.0"),
        ({"average_decay": 1.0}, r"average_decay must be in \(0, 1\), got 1.0"),
    ],
)
def test_nonsense_is_refused(change, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        LoopConfig(**change)
