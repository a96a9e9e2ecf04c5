"""``maskcast frame``: write a frame, and its masks in a run, as pictures to paint on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from maskcast.cli.arguments import shown_as


def frame(
    video: Positional[Path],
    frame: Positional[str],
    *,
    with_run: Annotated[
        Path | None, tyro.conf.arg(name="with", metavar="RUN", help_behavior_hint="")
    ] = None,
    output: Annotated[Path, shown_as("FOLDER", None, short="-o")] = Path("to-paint"),
) -> None:
    """Write a frame, and its masks in a run, as PNG pictures to paint on.

    FRAME-picture.png is the frame itself. With a run, FRAME.png is its label map, to be corrected
    and passed to segment --corrected, and FRAME-overlay.png shows the masks on the frame.
    Existing files with another content are not replaced.

    Examples: a frame to paint a first mask on; the masks of frame 120 to correct:
        maskcast frame dog.mp4 0
        maskcast frame dog.mp4 120 --with dog -o fixed

    Args:
        video: a video file, or a folder of frames.
        frame: number of the frame, from 0, or its name.
        with_run: the output folder of a run over the video.
        output: folder to write into.
    """
    from maskcast.io.video.opening import require_video

    require_video(video)  # before torch is imported, which takes seconds

    from maskcast.cli.progress import TerminalProgress
    from maskcast.runs.frame_pictures import write_frame_pictures

    with TerminalProgress() as progress:
        files = write_frame_pictures(video, frame, output, run=with_run, progress=progress)
    for path in (files.picture, files.label_map, files.overlay):
        if path is not None:
            print(path)
    if files.label_map is not None:
        print(f"pass the corrected label map with: --corrected {files.label_map}")
