"""What a run folder does after edits, losses and mix-ups, in version 0.1 and now.

    python benchmarks/runs/behaviour.py [--old COMMIT]

Runs every case of docs/runs.md with the command line of a commit of version 0.1, taken from the
git history of this checkout, and with that of the working tree. Prints the table of docs/runs.md:
how many frames the last call of a case computed, and whether its masks are wrong, that is, differ
from those of a run from the beginning.
``tests/runs/test_behaviour.py`` checks the last column with a method for tests.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
OLD = "60afa6f"
FRAMES = 60
HEIGHT, WIDTH = 48, 64
CORRECTED = 40
"""Frame of the correction."""
TINY = ("--option", "crop.size=64,96", "--option", "initial_steps=2", "--option", "update_steps=1")
"""Settings that make the small model fast."""
OLD_WEIGHTS = ("--weights", "lwl-small-0.1")
"""What a run from the beginning is given to compare with one that version 0.1 began."""
HEADER = (
    "| case | call | version 0.1 | version 0.2 |",
    "|---|---|---|---|",
)

Call = Callable[[Sequence[str]], int]
"""Runs one command line in the folder of the clip; returns its exit code."""


@dataclass(frozen=True)
class Case:
    """One thing that happens to a run folder, and the call after it."""

    name: str
    before: tuple[tuple[str, ...], ...]
    """Flags of the calls before."""
    happens: Callable[[Path], None]
    """Is given the run folder."""
    call: tuple[str, ...]
    """Flags of the call that counts."""
    new_flags: tuple[str, ...] = ()
    """Flags that version 0.1 does not have, added now."""
    between: tuple[tuple[str, ...], ...] = ()
    """Flags of calls after what happens, before the call that counts."""
    begun_by_0_1: bool = False
    """The calls before are made by version 0.1."""

    def shown(self) -> str:
        """Return the flags of the call, as the table has them."""
        named = {
            "first.png": "first",
            "other.png": "another first",
            f"{CORRECTED:05d}.png": "correction",
        }
        flags = [named.get(word, word) for word in (*self.call, *self.new_flags)]
        return f"`{' '.join(flags)}`"


def nothing(_: Path) -> None:
    """Leave the folder as it is."""


def lose_card(out: Path) -> None:
    """Delete the run card."""
    (out / "run.json").unlink()


def lose_states(out: Path) -> None:
    """Delete the states."""
    shutil.rmtree(out / ".states")


def empty(out: Path) -> None:
    """Do what ``rm -rf OUT/*`` does: hidden files stay."""
    for path in out.iterdir():
        if not path.name.startswith("."):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def put_masks_of_another_video(out: Path) -> None:
    """Leave two masks of a longer video, and no run card."""
    out.mkdir()
    for frame_index in (FRAMES, FRAMES + 1):
        Image.new("P", (WIDTH, HEIGHT)).save(out / f"{frame_index:05d}.png")


FIRST = ("--masks", "first.png")
OTHER = ("--masks", "other.png")
CORRECTION = (*FIRST, "--masks", f"{CORRECTED:05d}.png")

CASES = (
    Case("correction", (FIRST,), nothing, CORRECTION),
    Case("removed prompt", (CORRECTION,), nothing, FIRST, ("--edited",)),
    Case("undone correction", (FIRST, CORRECTION), nothing, FIRST, ("--edited",)),
    Case("later end", ((*FIRST, "--end", "30"),), nothing, FIRST),
    Case("lost card", (FIRST,), lose_card, FIRST),
    Case("lost card, overwritten", (FIRST,), lose_card, (*OTHER, "--overwrite")),
    Case("lost states", (FIRST,), lose_states, CORRECTION),
    Case(
        "emptied by `rm -rf OUT/*`, begun again, corrected",
        (FIRST,),
        empty,
        (*OTHER, *CORRECTION[2:]),
        between=(OTHER,),
    ),
    Case("foreign folder", (), put_masks_of_another_video, FIRST),
    Case("foreign folder, overwritten", (), put_masks_of_another_video, (*FIRST, "--overwrite")),
    Case("folder of 0.1", (FIRST,), nothing, FIRST, begun_by_0_1=True),
    Case("folder of 0.1, corrected", (FIRST,), nothing, CORRECTION, begun_by_0_1=True),
)


def make_clip(folder: Path) -> None:
    """Write ``clip/``, a first mask, another first mask, and one that corrects a frame."""
    noise = np.random.default_rng(0).integers(0, 120, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    (folder / "clip").mkdir(parents=True)
    for frame_index in range(FRAMES):
        pixels = noise.copy()
        pixels[square(frame_index)] = (200, 40, 40)
        Image.fromarray(pixels).save(folder / "clip" / f"{frame_index:05d}.png")
    write_mask(folder / "first.png", square(0))
    write_mask(folder / "other.png", (slice(2, 20), slice(36, 60)))
    write_mask(folder / f"{CORRECTED:05d}.png", square(CORRECTED - 6))


def square(frame_index: int) -> tuple[slice, slice]:
    """Return where the object is: it moves to and fro."""
    left = 4 + abs(frame_index % 60 - 30)
    return slice(14, 34), slice(left, left + 20)


def write_mask(path: Path, where: tuple[slice, slice]) -> None:
    """Write a mask of object 1."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[where] = 1
    Image.fromarray(mask).save(path)


def outcome(case: Case, folder: Path, call: Call, begin: Call, *, is_new: bool) -> str:
    """Return what the last call of a case does: frames computed, and whether masks are right.

    Args:
        case: what happens.
        folder: of the clip.
        call: runs the command line of one version.
        begin: runs that of version 0.1, for cases which it begins.
        is_new: the version has the new flags.
    """
    out, fresh = folder / "out", folder / "fresh"
    for path in (out, fresh):
        shutil.rmtree(path, ignore_errors=True)
    for earlier in case.before:
        _must_work(begin if case.begun_by_0_1 else call, earlier)
    case.happens(out)
    for earlier in case.between:
        _must_work(call, earlier)
    before = steps_in(out)
    flags = [*case.call, *(case.new_flags if is_new else ())]
    if call([*flags, "-o", "out"]) != 0:
        return "rejected"
    named = OLD_WEIGHTS if case.begun_by_0_1 and is_new else ()
    call([*case.call, *named, "-o", "fresh"])
    right = masks_in(out) == masks_in(fresh)
    made = steps_in(out) - (0 if "--overwrite" in flags else before)
    return f"{made} frames" + ("" if right else ", **wrong masks**")


def _must_work(call: Call, flags: Sequence[str]) -> None:
    if call([*flags, "-o", "out"]) != 0:
        raise RuntimeError(f"{' '.join(flags)} failed")


def steps_in(out: Path) -> int:
    """Return how many frames a run folder says were computed."""
    card = out / "run.json"
    return int(json.loads(card.read_text())["steps"]) if card.is_file() else 0


def masks_in(out: Path) -> dict[str, bytes]:
    """Return all label maps of a run folder."""
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.png"))}


def source_of(commit: str, folder: Path) -> Path:
    """Take the package of a commit out of the history; returns its import path."""
    archive = subprocess.run(
        ["git", "archive", commit, "src"], cwd=ROOT, check=True, capture_output=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder / "src"


def command_of(source: Path, folder: Path) -> Call:
    """Return the command line of the package in a folder, on the clip."""
    program = "import sys; from maskcast.cli.main import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}

    def call(flags: Sequence[str]) -> int:
        fixed = ["--threads", "1", "--save-seconds", "1000", *TINY]
        words = [sys.executable, "-c", program, "segment", "clip", *flags, *fixed]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, check=False)
        return done.returncode

    return call


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", default=OLD, help="commit of version 0.1")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_clip(folder)
        old = command_of(source_of(given.old, folder / "old"), folder)
        new = command_of(ROOT / "src", folder)
        print("\n".join(HEADER))
        for case in filter(lambda case: given.only in case.name, CASES):
            cells = [
                outcome(case, folder, old, old, is_new=False),
                outcome(case, folder, new, old, is_new=True),
            ]
            print(f"| {case.name} | {case.shown()} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
