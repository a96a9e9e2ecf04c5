"""``maskcast info``: describe a video, masks, a run, weights or a method."""

from __future__ import annotations

from tyro.conf import Positional

from maskcast.cli.terminal import show


def info(
    what: Positional[str], *, all: bool = False, check: bool = False, trust_code: bool = False
) -> None:
    """Describe a video, masks, a run, weights, graphs or a method, with licence and settings.

    For weights, the settings in force are listed, and marked where they differ from the defaults of
    the method.

    Args:
        what: a video or a folder of frames, a mask file or folder, a file with all masks of a
            video (masks.jsonl.gz, masks.zip), a run folder (of segment, evaluate, score or train),
            weights (name or file), a folder of exported graphs, or the name of a method.
        all: also list the settings of the network's architecture.
        check: run exported graphs, and compare the results with those of the export.
        trust_code: with --check, also run graphs of the forms pt2 and aoti, whose files can contain
            code that does anything; use it only if you made the folder or trust who did.
    """
    from maskcast.cli.description import describe
    from maskcast.cli.progress import TerminalProgress

    with TerminalProgress() as progress:
        lines = list(describe(what, all_settings=all, progress=progress))
    for line in lines:
        show(line)
    if check:
        from maskcast.cli.graphs_description import check_graphs

        for line in check_graphs(what, trust_code=trust_code):
            show(line)
