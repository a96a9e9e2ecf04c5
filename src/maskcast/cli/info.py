"""``maskcast info``: describe a video, masks, a run, weights or a method."""

from __future__ import annotations

from tyro.conf import Positional

from maskcast.cli.terminal import show


def info(what: Positional[str]) -> None:
    """Describe a video, masks, a run, weights or a method, with its licence and settings if any.

    Args:
        what: a video or a folder of frames, a mask file or folder, a file with all masks of a
            video (masks.jsonl.gz, masks.zip), a run folder (of segment, evaluate, score or train),
            weights (name or file), or the name of a method.
    """
    from maskcast.cli.description import describe

    for line in describe(what):
        show(line)
