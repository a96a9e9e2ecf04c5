"""``maskcast`` with the stand-in method in the catalogue: a program for tests to start and to kill.

``MASKCAST_TEST_PAUSE_AT=N`` makes it wait for ever when frame N is to be segmented.
``MASKCAST_TEST_KILL_AT=N`` makes it kill itself when frame N of an overlay is to be drawn.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from contract import stand_in
from maskcast.cli.main import main
from maskcast.io.video.formats import FORMATS
from maskcast.methods.catalogue import METHODS
from maskcast.runs import exports
from maskcast.viz.overlay import draw_overlay


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


def draw_until_killed(*arguments, **options):
    frames_left = int(os.environ["MASKCAST_TEST_KILL_AT"])
    os.environ["MASKCAST_TEST_KILL_AT"] = str(frames_left - 1)
    if frames_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return draw_overlay(*arguments, **options)


if __name__ == "__main__":
    METHODS["colours"] = stand_in.METHOD
    if "MASKCAST_TEST_PAUSE_AT" in os.environ:
        stand_in.ColourTracker = Pausing
    if "MASKCAST_TEST_KILL_AT" in os.environ:
        exports.draw_overlay = draw_until_killed
        FORMATS["h264"] = replace(FORMATS["h264"], part_frames=3)
    sys.exit(main())
