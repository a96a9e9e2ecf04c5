"""``maskcast info``: describe a video, masks, a run, weights or a method."""

from __future__ import annotations

from tyro.conf import Positional

from maskcast.cli.terminal import show


def info(what: Positional[str], *, all: bool = False) -> None:
    """Describe a video, masks, a run, weights or a method, with its licence and settings if any.

    For weights, the settings in force are listed, and marked where they differ from the defaults of
    the method.

    Args:
        what: a video or a folder of frames, a mask file or folder, a file with all masks of a
            video (masks.jsonl.gz, masks.zip), a run folder (of segment, evaluate, score or train),
            weights (name or file), or the name of a method.
        all: also list the settings of the network's architecture.
    """
    from maskcast.cli.description import describe

    for line in describe(what, all_settings=all):
        show(line)
