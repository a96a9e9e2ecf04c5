"""A run slow enough to be paused and killed from outside: ``steady_run.py FOLDER``."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from maskcast.core.training import Recipe
from maskcast.training.loop import train
from training.toy_task import TOY, ToyTask, with_loop

STEADY = with_loop(
    replace(TOY.config, dropout=0.5),
    workers=2,
    checkpoint_every=100,
    checkpoint_minutes=0.0,
    validate_every=0,
)


class Slow(ToyTask):
    def loss(self, batch):
        time.sleep(0.2)
        return super().loss(batch)


if __name__ == "__main__":
    slow = Recipe(TOY.title, STEADY, Slow)
    train("toy", slow, Path(sys.argv[1]), config=STEADY, device="cpu")
