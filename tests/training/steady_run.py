"""A run to be paused and killed from outside: ``steady_run.py FOLDER``.

``MASKCAST_TEST_PAUSE_AT=N`` makes it slow, and has it wait for ever in its step N.
"""

from __future__ import annotations

import os
import sys
import threading
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
    """Takes its time, and never comes to the end."""

    steps_left = int(os.environ.get("MASKCAST_TEST_PAUSE_AT", "0"))

    def loss(self, batch):
        self.steps_left -= 1
        if self.steps_left == 0:
            threading.Event().wait()
        time.sleep(0.2)
        return super().loss(batch)


if __name__ == "__main__":
    task = Slow if "MASKCAST_TEST_PAUSE_AT" in os.environ else ToyTask
    recipe = Recipe(TOY.title, STEADY, task)
    train("toy", recipe, Path(sys.argv[1]), config=STEADY, device="cpu")
