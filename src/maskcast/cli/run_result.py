"""Print the result of a run, in the form that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from maskcast.cli.terminal import in_bytes, show
from maskcast.core.numbers import counted

if TYPE_CHECKING:
    from maskcast.runs.video_request import VideoResult


def print_result(output: Path, result: VideoResult) -> None:
    """Print one line about the masks, the path of each export, and the frames to look at."""
    card, room = result.card, result.room
    rate = card.steps / card.seconds.total if card.seconds.total else 0.0
    kept = f" (states {in_bytes(room.states + room.aside)})" if room.states + room.aside else ""
    print(
        f"{output}: masks of {counted(card.frames, 'frame')}, {rate:.1f} frames per second, "
        f"{in_bytes(room.total)}{kept}"
    )
    for path in result.exports:
        print(path)
    for line in result.objects:
        show(line)
    if result.objects:
        print("correct with: maskcast segment … --corrected FILE (a corrected copy of a mask)")


def print_prompts(result: VideoResult) -> None:
    """Print the paths of the pictures of masks and boxes, and how to go on."""
    for path in result.exports:
        print(path)
    print("continue with the same command without --only-prompts")
