"""Check what was asked of a run before torch is imported, which takes seconds.

The run checks the same things again, together with those that need the frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskcast.io.prompts.boxes import parse_box
from maskcast.io.prompts.detections import require_detections
from maskcast.io.prompts.marks import parse_absence, parse_end
from maskcast.io.prompts.renames import parse_merge, parse_swap
from maskcast.io.prompts.sources import require_masks, require_prompts
from maskcast.io.video.opening import require_video
from maskcast.runs.objects import parse_looks


def check_files(
    video: Path,
    *,
    masks: Sequence[Path],
    corrected: Sequence[Path],
    detections: Path | None,
    boxes: Sequence[str],
) -> None:
    """Check that files exist, and that there is something to track; see ``VideoRequest``.

    Raises:
        MissingFileError: a file does not exist.
        VideoError: the video is a pipe or a device.
        UsageError: there are neither masks nor boxes.
    """
    require_video(video)
    if detections is not None:
        require_detections(detections)
    else:
        require_prompts(masks, corrected, boxes)
    for path in masks:
        require_masks(path, "masks")
    for path in corrected:
        require_masks(path, "corrected")


def check_texts(
    *,
    boxes: Sequence[str],
    absent: Sequence[str],
    ends: Sequence[str],
    swaps: Sequence[str],
    merges: Sequence[str],
    names: Sequence[str],
    colours: Sequence[str],
) -> None:
    """Check the form of boxes, marks, names and colours; see ``VideoRequest``.

    Raises:
        UsageError: a text has another form.
        PromptError: a side of a box is not positive, or an id is out of range.
    """
    for box in boxes:
        parse_box(box, size=None)
    for texts, parse in (
        (absent, parse_absence),
        (ends, parse_end),
        (swaps, parse_swap),
        (merges, parse_merge),
    ):
        for text in texts:
            parse(text)
    parse_looks(names, colours)
