"""Settings of the loop that make no sense are refused."""

from __future__ import annotations

import pytest

from maskcast.core.errors import ConfigError
from maskcast.core.training import LoopConfig


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"iterations": 0}, "iterations must be at least 1"),
        ({"keep_last": 0}, "keep_last must be at least 1"),
        ({"workers": -1}, "workers must not be negative"),
        ({"seed": -1}, "seed must not be negative"),
        ({"checkpoint_minutes": -1.0}, "checkpoint_minutes must not be negative"),
        ({"batch_size": 5, "accumulate": 2}, "a batch of 5 cannot be worked through in 2 equal"),
        ({"clip_norm": 0.0}, "clip_norm must be positive, got 0.0"),
        ({"clip_value": -1.0}, "clip_value must be positive, got -1.0"),
        ({"average_decay": 0.0}, "average_decay lies between 0 and 1"),
        ({"average_decay": 1.0}, "average_decay lies between 0 and 1"),
    ],
)
def test_nonsense_is_refused(change, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        LoopConfig(**change)
