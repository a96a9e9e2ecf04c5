"""Segment clips of real videos by two processes and by a Ray cluster, in spite of accidents.

    PYTHONPATH=src:tests python tests/batch/forty_clips.py ARCHIVE [--clips 40] [--frames 4]

Cuts clips from an archive of ``<sequence>/frames`` and ``<sequence>/masks``, adds a video that
kills its workers, and segments all with ``lwl-small``: alone, by two worker processes of which one
is killed, and on two Ray nodes, where a worker and then a node are killed. Compares all masks byte
for byte. Needs Ray and the right to make network namespaces.
"""

from __future__ import annotations

import io
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import psutil
import tyro
from PIL import Image
from tyro.conf import Positional

from batch.accidents import FIXTURES, Dispatcher
from batch.ray_nodes import ADDRESS, SECRETS, Nodes, running_nodes, wait_for_worker, wait_until_lost
from batch.small_batch import write_manifest
from maskcast.cli.batch import _make_source
from maskcast.runs.card import read_card
from maskcast.runs.video_request import VideoRequest
from maskcast.runs.video_run import run_video

PROGRAM = FIXTURES / "batch_program_with_poison.py"
OPTIONS = ("--weights", "lwl-small", "--attempts", "2", "--save-seconds", "0.2")


def main(
    archive: Positional[Path], clips: int = 40, frames: int = 4, size: tuple[int, int] = (240, 136)
) -> int:
    """Print what happened, and return 0 if all masks are equal.

    Args:
        archive: a .tar with real videos and their masks.
        clips: number of clips.
        frames: number of frames of each.
        size: width and height that frames are scaled to.
    """
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        names = list(islice(_cut(archive, top, frames, size), clips))
        rows = [{"id": name, "video": f"../{name}", "masks": f"../{name}.png"} for name in names]
        poison = {**rows[0], "id": "poison", "options": {"crash_at": "0"}}
        rows.insert(clips // 2, poison)
        expected = {name: _alone(top, name) for name in names}
        print(f"{len(names)} clips, {sum(map(len, expected.values()))} masks alone")
        for how in ("processes", "cluster"):
            (top / how).mkdir()
            write_manifest(top / how, *rows)
        run = _with_processes(top / "processes")
        is_equal = _report("two processes", run, expected)
        with running_nodes(2) as nodes:
            run = _on_cluster(top / "cluster", nodes)
        return int(not (_report("two Ray nodes", run, expected) and is_equal))


def _cut(archive: Path, top: Path, frames: int, size: tuple[int, int]) -> Iterator[str]:
    """Write clips one after another, and yield their names."""
    with tarfile.open(archive) as members:
        names = members.getnames()
        for name in sorted({name.partition("/")[0] for name in names}):
            pictures = sorted(n for n in names if n.startswith(f"{name}/frames/"))
            for start in range(0, len(pictures) - frames, 20):
                clip = f"{name}-{start}"
                (top / clip).mkdir()
                for number, picture in enumerate(pictures[start : start + frames]):
                    _read(members, picture).convert("RGB").resize(size).save(
                        top / clip / f"{number:05d}.png"
                    )
                stem = Path(pictures[start]).stem
                mask = _read(members, f"{name}/masks/{stem}.png").resize(size, Image.NEAREST)
                if mask.getextrema()[1]:
                    mask.save(top / f"{clip}.png")
                    yield clip


def _read(members: tarfile.TarFile, name: str) -> Image.Image:
    return Image.open(io.BytesIO(members.extractfile(name).read()))


def _alone(top: Path, name: str) -> dict[str, bytes]:
    source = _make_source(
        weights="lwl-small", method=None, options={}, device="cpu", dtype="float32"
    )
    output = top / "alone" / name
    run_video(VideoRequest(video=top / name, masks=[top / f"{name}.png"], output=output), source)
    return _masks(output)


def _masks(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def _with_processes(folder: Path) -> Dispatcher:
    run = Dispatcher(folder, "--jobs", "2", *OPTIONS, program=PROGRAM)
    run.wait_for("finished", 3)
    psutil.Process(run.workers()[0]).kill()
    run.end()
    return run


def _on_cluster(folder: Path, nodes: Nodes) -> Dispatcher:
    options = (*OPTIONS, "--ray", ADDRESS, "--workers", "2")
    run = Dispatcher(folder, *options, prefix=nodes.prefix, environment=SECRETS, program=PROGRAM)
    worker = wait_for_worker(run, nodes, frames=1)
    psutil.Process(worker.process).kill()
    wait_until_lost(run, worker)
    worker = wait_for_worker(run, nodes, frames=1)
    nodes.raylet_of(worker.node).kill()
    wait_until_lost(run, worker)
    run.end()
    return run


def _report(name: str, run: Dispatcher, expected: dict[str, dict[str, bytes]]) -> bool:
    videos = run.folder / "out" / "videos"
    equal = [clip for clip, masks in expected.items() if _masks(videos / clip) == masks]
    resumed = sum(read_card(videos / clip).resumed_from > 0 for clip in equal)
    print(
        f"{name}: exit code {run.process.returncode}, {len(equal)} of {len(expected)} clips equal"
    )
    print(f"  {resumed} resumed from a state")
    for event in (*run.events("lost"), *run.events("quarantined")):
        print(f"  {event['event']}: {event['id']}: {event.get('note') or event['sentence']}")
    return len(equal) == len(expected)


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
