"""Compare two workers with two ``maskcast segment`` loops, and time how SIGTERM ends a batch.

    python benchmarks/batch/two_workers.py VIDEOS… [--clips 8] [--frames 60] [--turns 2]

Cuts clips from folders ``<sequence>/frames`` and ``<sequence>/masks``. In turns, two workers of
``maskcast batch run`` segment all of them, and two loops side by side segment one half each with
``maskcast segment``. All use one thread per process and ``lwl-small``. Needs an idle machine with
two cores: wall time is what counts. A loop loads torch and the network for every clip, the batch
once per process, so give clips of the length that interests you.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import tyro
from PIL import Image
from tyro.conf import Positional

from maskcast.core.files import write_text
from maskcast.runs.layout import STATES

PROGRAM = (sys.executable, "-m", "maskcast.cli.main")
SHARED = ("--weights", "lwl-small", "--device", "cpu", "--threads", "1")


def main(videos: Positional[list[Path]], clips: int = 8, frames: int = 60, turns: int = 2) -> None:
    """Print the ratios and the seconds.

    Args:
        videos: folders with ``frames`` and ``masks``.
        clips: number of clips; an even number.
        frames: number of frames of each.
        turns: how often both are run, one after the other.
    """
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        names = list(_cut(videos, top, clips, frames))
        single = _single_frame(top, names[0])
        print(f"{len(names)} clips of {frames} frames; a process for one frame: {single:.1f} s")
        ratios = []
        for turn in range(turns):
            workers = _seconds(partial(_workers, top, names, f"workers-{turn}"))
            loops = _seconds(partial(_loops, top, names, f"loops-{turn}"))
            ratios.append(loops / workers)
            print(f"turn {turn}: two workers {workers:.1f} s, two loops {loops:.1f} s")
        print(f"frames per second, workers / loops: {median(ratios):.3f} (target: at least 0.95)")
        for victim in ("worker", "dispatcher"):
            print(f"SIGTERM to the {victim}: {_sigterm(top, names, victim)}")


def _seconds(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _cut(videos: Sequence[Path], top: Path, clips: int, frames: int) -> Iterator[str]:
    """Link the first frames of each sequence, again and again, and yield the names of the clips."""
    for number in range(clips):
        source = videos[number % len(videos)]
        pictures = sorted((source / "frames").iterdir())
        name = f"clip-{number}"
        (top / name).mkdir()
        for index in range(frames):
            picture = pictures[_there_and_back(index, len(pictures))]
            (top / name / f"{index:05d}{picture.suffix}").symlink_to(picture.resolve())
        mask = Image.open(source / "masks" / f"{pictures[0].stem}.png")
        mask.save(top / f"{name}.png")
        yield name


def _there_and_back(index: int, length: int) -> int:
    """Return the frame of a clip that is played forwards and backwards."""
    turn, rest = divmod(index, length - 1)
    return rest if turn % 2 == 0 else length - 1 - rest


def _segment(top: Path, name: str, output: str) -> list[str]:
    files = (
        str(top / name),
        "--masks",
        str(top / f"{name}.png"),
        "--output",
        str(top / output / name),
    )
    return [*PROGRAM, "segment", *files, *SHARED]


def _single_frame(top: Path, name: str) -> float:
    """Return the seconds that a process of its own takes for a clip of one frame."""
    (top / "one").mkdir()
    (top / "one" / "00000.jpg").symlink_to(sorted((top / name).iterdir())[0].resolve())
    (top / "one.png").write_bytes((top / f"{name}.png").read_bytes())
    return median(_seconds(partial(_run, _segment(top, "one", f"single-{n}"))) for n in range(3))


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _loops(top: Path, names: Sequence[str], output: str) -> None:
    def loop(half: Sequence[str]) -> None:
        for name in half:
            _run(_segment(top, name, output))

    threads = [threading.Thread(target=loop, args=(names[start::2],)) for start in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _batch(top: Path, names: Sequence[str], output: str) -> list[str]:
    rows = [{"id": n, "video": str(top / n), "masks": str(top / f"{n}.png")} for n in names]
    manifest = top / f"{output}.jsonl"
    write_text(manifest, "".join(json.dumps(row) + "\n" for row in rows))
    return [
        *PROGRAM,
        "batch",
        "run",
        str(manifest),
        "-o",
        str(top / output),
        "--jobs",
        "2",
        *SHARED,
    ]


def _workers(top: Path, names: Sequence[str], output: str) -> None:
    _run(_batch(top, names, output))


def _sigterm(top: Path, names: Sequence[str], victim: str) -> str:
    """Send SIGTERM in the middle of the first clips, and time until its states lie on the disk."""
    output = top / f"sigterm-{victim}"
    with subprocess.Popen(
        _batch(top, names, output.name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        events = _wait(output, lambda events: sum(e["event"] == "beat" for e in events) >= 4)
        workers = [event["process"] for event in events if event["event"] == "worker"]
        before = _newest_state(output)
        began = time.time()
        os.kill(workers[0] if victim == "worker" else process.pid, signal.SIGTERM)
        events = _wait(output, lambda events: any(e["event"] == "interrupted" for e in events))
        noted = next(e["at"] for e in events if e["event"] == "interrupted") - began
        saved = _newest_state(output)
        process.terminate()
        process.wait()
    state = f"{saved - began:.1f} s" if saved > before else "none was written"
    return f"state on disk after {state} (target: at most 5 s), noted after {noted:.1f} s"


def _newest_state(output: Path) -> float:
    """Return when the newest saved state was written."""
    return max((path.stat().st_mtime for path in output.rglob(f"{STATES}/*")), default=0.0)


def _wait(output: Path, is_enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    while True:
        lines = [
            line
            for path in sorted((output / "journal").glob("*.jsonl"))
            for line in path.read_text().splitlines()
            if line.endswith("}")
        ]
        if is_enough(events := [json.loads(line) for line in lines]):
            return events
        time.sleep(0.05)


if __name__ == "__main__":
    tyro.cli(main)
