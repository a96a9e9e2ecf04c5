"""Measure what a method does when objects leave and return.

    python benchmarks/absence/measure.py OUT NAME --data DATA --videos VIDEOS \\
        --option presence.rule=likeness

DATA holds the unpacked training archives, VIDEOS ``dog.mp4`` and ``juggle.mp4``; clips whose folder
is not given are left out. OUT/NAME gets the label maps, a JSON file for each clip and the result of
the variant, OUT/absence.md the table of all variants in OUT. An interrupted measurement continues
with the clip that it had begun when the same command is given again. See ``absence_clips`` for the
clips, and ``absence_measures`` for what is counted.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import torch
from absence_clips import GROUPS, Clip, clips_of, masks_of
from absence_measures import HEADER, Counts, Track, count, row

from maskcast.core.arrays import LabelArray
from maskcast.core.config import options_from
from maskcast.core.device_names import DtypeName
from maskcast.core.errors import MaskcastError
from maskcast.core.files import alone_in, path_inside, write_text
from maskcast.core.segmenter import SegmenterSource, VideoSegmenter, segment_steps
from maskcast.core.types import Frame, ObjectMasks, Prompts, to_frame
from maskcast.io.label_maps import ids_in, write_label_map
from maskcast.methods.spec import SegmenterSpec
from maskcast.metrics.frame import score_object

ROOT = Path(__file__).parents[2]
BY_EYE = ("dog", "juggle")
"""Clips that have lines of their own in the table."""


def measure_clip(
    segmenter: VideoSegmenter[Any], clip: Clip, masks_folder: Path | None = None
) -> list[Track]:
    """Segment a clip and compare every frame after the first one with the truth.

    Args:
        segmenter: any method.
        clip: what to segment; objects that appear after the first frame are left out.
        masks_folder: where to write the label maps; None: nowhere.
    """
    shots = clip.shots()
    picture, truth = next(shots)
    prompts: Prompts = clip.boxes or masks_of(_known(truth), ids_in(_known(truth)))
    tracks = [Track(object_id, bool(clip.copies_of(object_id))) for object_id in prompts]
    truths = [truth]

    def frames() -> Iterator[Frame]:
        yield to_frame(picture)
        for later, its_truth in shots:
            truths.append(its_truth)
            yield to_frame(later)

    for step in segment_steps(segmenter, frames(), {0: prompts}):
        label_map = step.masks.label_map().cpu().numpy()
        if masks_folder is not None:
            write_label_map(masks_folder / f"{step.frame_index:05d}.png", label_map)
        if step.frame_index > 0:
            for track in tracks:
                _note(track, clip, step.frame_index, label_map, truths[step.frame_index])
                _note_presence(track, step.masks)
    return tracks


def _known(truth: LabelArray | None) -> LabelArray:
    assert truth is not None, "a clip without boxes has label maps"
    return truth


def _note(
    track: Track, clip: Clip, frame: int, label_map: LabelArray, truth: LabelArray | None
) -> None:
    """Append one frame to a track."""
    found = label_map == track.object_id
    area = int(found.sum())
    track.painted.append(area)
    if truth is None:
        track.share.append(float(frame not in clip.absent.get(track.object_id, ())))
        track.on_copy.append(False)
        return
    true = truth == track.object_id
    track.share.append(float(true.mean()))
    score = score_object(found, true)
    track.J.append(float(score.J))
    track.F.append(float(score.F))
    on = [int((found & (truth == other)).sum()) for other in clip.copies_of(track.object_id)]
    track.on_copy.append(area > 0 and 2 * max(on, default=0) >= area)


def _note_presence(track: Track, masks: ObjectMasks) -> None:
    if masks.presence is not None:
        track.presence.append(float(masks.presence[masks.ids.index(track.object_id)]))


def measure(
    source: SegmenterSource,
    clips: Sequence[Clip],
    folder: Path,
    *,
    frames: int | None = None,
    made_by: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Measure the clips that are not finished in a folder, and return the result of all.

    Args:
        source: of the segmenter.
        clips: in this order.
        frames: of each clip; None: all.
        folder: of the variant; created if missing.
        made_by: what the result notes as its origin, such as command and commit.

    Raises:
        MaskcastError: the weights, an option, the data or the folder is not usable.
        SystemExit: the folder holds another variant.
    """
    built = source.build()
    identity = asdict(built.identity(uses_boxes=True))
    _claim(folder, {**identity, "frames": frames})
    tracks: dict[str, list[Track]] = {}
    for number, clip in enumerate([clip.cut(frames) for clip in clips], 1):
        path = path_inside(folder / "clips", clip.name, ".json")
        if not path.is_file():
            began = time.perf_counter()
            found = measure_clip(built.segmenter, clip, path_inside(folder / "masks", clip.name))
            write_text(path, json.dumps([track.to_json() for track in found]) + "\n")
            taken = f"{time.perf_counter() - began:.0f} s"
            print(f"{number}/{len(clips)}  {clip.name}  {taken}", file=sys.stderr, flush=True)
        tracks[clip.name] = [Track.from_json(entry) for entry in json.loads(path.read_text())]
    counts = _summary(clips, tracks)
    result = {"made_by": made_by or {}, "segmenter": identity, "counts": counts}
    write_text(folder / "result.json", json.dumps(result, indent=1) + "\n")
    return result


def _summary(clips: Sequence[Clip], tracks: dict[str, list[Track]]) -> dict[str, Any]:
    """Count by group, and by clip."""
    parts: dict[str, list[str]] = {}
    for clip in clips:
        parts.setdefault(clip.group, []).append(clip.name)
    parts |= {clip.name: [clip.name] for clip in clips}
    return {
        part: asdict(count([track for name in names for track in tracks[name]]))
        for part, names in parts.items()
    }


def _claim(folder: Path, request: dict[str, Any]) -> None:
    path = folder / "request.json"
    text = json.dumps(request, indent=1) + "\n"
    if path.is_file() and path.read_text() != text:
        raise SystemExit(f"error: {folder} holds another variant; choose another name")
    write_text(path, text)


def table(out: Path) -> str:
    """Return the table of all finished variants in a folder, and their origin."""
    results = {
        path.parent.name: json.loads(path.read_text()) for path in sorted(out.glob("*/result.json"))
    }
    lines = [
        row(variant, group, Counts(**result["counts"][group]))
        for group in (*GROUPS, *BY_EYE)
        for variant, result in results.items()
        if group in result["counts"]
    ]
    origins = [f"* {variant}: {_origin(result)}" for variant, result in results.items()]
    return "\n".join([*HEADER, *lines, "", *origins]) + "\n"


def _origin(result: dict[str, Any]) -> str:
    """Return what made a result, in words."""
    segmenter, made_by = result["segmenter"], result["made_by"]
    return ", ".join(
        [
            f"{segmenter['weights']} ({str(segmenter['weights_sha256'])[:12]})",
            segmenter["dtype"],
            *(f"{name} {value}" for name, value in made_by.items() if name != "command"),
            f"`{made_by.get('command')}`",
        ]
    )


def _commit() -> str:
    """Return the commit of the working tree, and whether it was changed since."""
    words = ["git", "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("name", help="of the variant")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--videos", type=Path)
    parser.add_argument("--groups", nargs="+", choices=GROUPS)
    parser.add_argument("--frames", type=int, help="of each clip; default: all")
    parser.add_argument("--weights", help="name or file; default: the weights in the package")
    parser.add_argument("--option", action="append", default=[], help="NAME=VALUE, repeatable")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=get_args(DtypeName), default="float32")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    given = _arguments()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    given_data = {"rendered": given.data, "sliding": given.data, "real": given.data}
    available = given_data | {"videos": given.videos}
    groups = given.groups or [group for group in GROUPS if available.get(group, True)]
    made_by = {
        "command": shlex.join(["python", *sys.argv]),
        "commit": _commit(),
        "seed": 0,
        "threads": given.threads,
        "torch": torch.__version__,
        "frames": given.frames,
    }
    try:
        spec = SegmenterSpec(
            weights=given.weights,
            options=options_from(given.option),
            device=given.device,
            dtype=given.dtype,
        )
        clips = clips_of(groups, given.data, given.videos)
        folder = path_inside(given.out, given.name)
        with alone_in(folder):
            measure(spec, clips, folder, frames=given.frames, made_by=made_by)
        write_text(given.out / "absence.md", table(given.out))
    except (MaskcastError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit("interrupted; give the same command again to continue") from None
    print(table(given.out), end="")


if __name__ == "__main__":
    main()
