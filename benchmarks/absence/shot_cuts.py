"""Count false and missed shot cuts of ``io.video.shot_cuts`` on videos without cuts.

    python benchmarks/absence/shot_cuts.py VIDEO|FOLDER…

Each argument is a video file, a folder of frames, or a folder of clips with ``frames`` in them.
Inside a video every cut that is detected is false. From the last frame of each video to the first
one of each other video there is a cut.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from maskcast.core.types import to_frame
from maskcast.io.video.shot_cuts import FrameLook, differ, look_of
from maskcast.io.video.source import open_frames


def videos_in(path: Path) -> Iterator[Path]:
    """Yield a video, or the frame folders of all clips in a folder."""
    clips = sorted(path.glob("*/frames"))
    yield from clips or ([path / "frames"] if (path / "frames").is_dir() else [path])


def look_at(video: Path) -> tuple[FrameLook, FrameLook, list[int], int]:
    """Return the first and last look of a video, its false cuts, and its number of frames."""
    looks = [look_of(to_frame(picture)) for picture in open_frames(video).pictures()]
    false = [index for index, pair in enumerate(pairwise(looks), 1) if differ(*pair)]
    return looks[0], looks[-1], false, len(looks)


def main(paths: list[Path]) -> None:
    videos = {video: look_at(video) for path in paths for video in videos_in(path)}
    for video, (_, _, false, _) in videos.items():
        if false:
            print(f"{video}: false cuts on {false}")
    frames = sum(count for *_, count in videos.values())
    missed = [
        (before, after)
        for before, (_, last, *_) in videos.items()
        for after, (first, *_) in videos.items()
        if before != after and not differ(last, first)
    ]
    pairs = len(videos) * (len(videos) - 1)
    print(f"{len(videos)} videos, {frames} frames, {sum(len(v[2]) for v in videos.values())} false")
    print(f"{pairs} joins, {len(missed)} missed")
    for before, after in missed[:20]:
        print(f"  {before} to {after}")


if __name__ == "__main__":
    main([Path(path) for path in sys.argv[1:]])
