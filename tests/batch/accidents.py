"""``maskcast batch run`` in processes of its own, for tests that end them by their ids."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from batch.small_batch import write_manifest, write_video
from fixtures.batch_stand_in import Source
from maskcast.runs.card import read_card
from maskcast.runs.video_request import VideoRequest
from maskcast.runs.video_run import run_video

LONGEST = 1200.0
"""Seconds in which something happens, on a busy machine."""
FRAMES = 12
NAMES = "abcd"
FIXTURES = Path(__file__).parent.parent / "fixtures"
PATH = os.pathsep.join(entry for entry in sys.path if entry)


class Dispatcher:
    """A call of ``maskcast batch run`` in a process of its own."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        prefix: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        program: Path = FIXTURES / "batch_program.py",
    ) -> None:
        self.folder = folder
        command = [*prefix, sys.executable, program, "run", folder / "videos.jsonl"]
        command += ["-o", folder / "out"]
        self.process = subprocess.Popen(
            [*map(str, command), "--threads", "1", "--device", "cpu", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": PATH, **(environment or {})},
        )

    def all_events(self) -> list[dict]:
        """The events in the journal of the latest call."""
        files = sorted((self.folder / "out" / "journal").glob("*.jsonl"))
        lines = files[-1].read_text().splitlines() if files else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def events(self, name: str) -> list[dict]:
        """The events with a name in the journal of the latest call."""
        return [event for event in self.all_events() if event["event"] == name]

    def wait_for(self, name: str, count: int = 1) -> list[dict]:
        """Wait until there are some events with a name."""
        deadline = time.monotonic() + LONGEST
        while len(events := self.events(name)) < count:
            assert time.monotonic() < deadline, f"no {name}"
            assert self.process.poll() is None, self.process.stdout.read()
            time.sleep(0.1)
        return events

    def workers(self) -> list[int]:
        """Process ids of the workers that were ready and are still alive."""
        ready = [event["process"] for event in self.events("worker")]
        return [process for process in ready if psutil.pid_exists(process)]

    def end(self) -> int:
        """Wait for the end, and return the exit code."""
        self.output = self.process.communicate(timeout=LONGEST)[0]
        return self.process.returncode


def unbroken_masks(folder: Path, *, count: int = FRAMES) -> dict[str, dict[str, bytes]]:
    """Return the masks of unbroken runs, by video and file."""
    masks = {}
    for seed, name in enumerate(NAMES):
        write_video(folder, name, seed=seed, count=count)
        output = folder / "out" / name
        run_video(
            VideoRequest(video=folder / name, masks=[folder / f"{name}.png"], output=output),
            Source(),
        )
        masks[name] = {path.name: path.read_bytes() for path in output.glob("*.png")}
    return masks


def write_slow_clips(folder: Path, *, count: int = FRAMES, seconds: float = 0.3) -> list[dict]:
    """Write the videos and their manifest, and return its rows.

    Every frame takes some seconds until ``hurry`` is called.
    """
    rows = [write_video(folder, name, seed=s, count=count) for s, name in enumerate(NAMES)]
    options = {"seconds": str(seconds), "quick": str(folder / "quick")}
    rows = [{**row, "options": options} for row in rows]
    write_manifest(folder, *rows)
    return rows


def hurry(folder: Path) -> None:
    """Let frames take no time from now on: what was to happen has happened."""
    (folder / "quick").touch()


def assert_equal(folder: Path, expected: dict[str, dict[str, bytes]]) -> None:
    for name, masks in expected.items():
        result = folder / "out" / "videos" / name
        assert {path.name: path.read_bytes() for path in result.glob("*.png")} == masks
        assert read_card(result).status == "finished"
