"""``maskcast info``: what a video, mask, run, weights or method is."""

from __future__ import annotations

from tyro.conf import Positional

from maskcast.cli.terminal import show


def info(what: Positional[str]) -> None:
    """Say what something is, its licence where it has one, and its options.

    Args:
        what: a video or a folder of frames, a mask file or folder, a file with all masks of a
            video (masks.jsonl.gz, masks.zip), a run folder (of segment, evaluate, score or train),
            weights (name or file), or a method.
    """
    from maskcast.cli.description import describe

    for line in describe(what):
        show(line)
