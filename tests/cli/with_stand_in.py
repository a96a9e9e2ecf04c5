"""``maskcast`` with the stand-in method in the catalogue: a program for tests to start and to kill.

``MASKCAST_TEST_PAUSE_AT=N`` makes it wait for ever when frame N is to be segmented.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from contract import stand_in
from maskcast.cli.main import main
from maskcast.methods.catalogue import METHODS


class Pausing(stand_in.ColourTracker):
    """Counts the calls of one process."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.steps_left = int(os.environ["MASKCAST_TEST_PAUSE_AT"])

    def step(self, *arguments):
        if self.steps_left == 0:
            threading.Event().wait()
        self.steps_left -= 1
        return super().step(*arguments)


if __name__ == "__main__":
    METHODS["colours"] = stand_in.METHOD
    if "MASKCAST_TEST_PAUSE_AT" in os.environ:
        stand_in.ColourTracker = Pausing
    sys.exit(main())
