"""Check and measure maskcast on a machine with a GPU, in at most eight minutes.

    scripts/gpu_report [--device cuda] [-o gpu-report.json] [--only PART …] [--patience 1]

Needs a checkout with the extra ``dev`` installed; no data, no network. Every part runs in its own
process with a time limit, so that one that fails or hangs costs only its own results. The JSON file
is written again after every part. ``maskcast bench`` writes its figures after every case; those of
a part that was stopped at its time limit, or failed, are in the report, below its status.

Every part has a share of the time, and the shares together are less than the whole. A part may also
use what the parts before it have left, but not the shares of those after it. The parts that check
something come first, the longest benchmark last: on a slow GPU it is the one that is cut short.

tests         ``tests/contract/test_devices.py`` on the GPU: every method finds what it finds on the
              CPU, stays on the GPU, and repeats to the bit in deterministic mode
resume        a deterministic run of ``lwl-small`` in two parts has the masks of one without a stop
training      twelve steps of training in bfloat16, on synthetic clips
nccl          the same in a process group of one process
agame, lwl,   ``maskcast bench``: frames per second in float32 and bfloat16, for one, three and ten
eosvos        objects, LWL also with CUDA graphs; e-OSVOS-10 and e-OSVOS-50-OnA as in the paper

On a CPU the same parts run as a rehearsal, apart from ``nccl``: ``--device cpu --patience 20``,
which multiplies the whole time and all shares.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch

from maskcast.core.device import choose_device, name_of
from maskcast.core.files import write_text

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 465
"""Time for all parts together, which leaves some for starting and ending within eight minutes."""
PAPER_FPS = {
    "lwl": {"LWL, one object": 14.0},
    "agame": {"A-GAME, one object": 15.0},
    "eosvos": {"e-OSVOS-10": 5.3, "e-OSVOS-50-OnA": 0.35},
}
"""Frames per second that the papers report, on the GPUs of their time."""
TRAINING = (
    *("lwl-small-0.1-crop", "--data.videos-weight", "0", "--data.pictures-weight", "0"),
    *("--data.synthetic-weight", "1", "--data.held-out", "--validation-clips", "0"),
    *("--loop.epochs", "1", "--loop.iterations", "12", "--loop.batch-size", "2"),
    *("--loop.workers", "0", "--loop.precision", "bf16", "--processing.size", "192", "320"),
)


@dataclass(frozen=True)
class Part:
    """One process, or several, with a common time limit."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    seconds: int
    """Share of the time, for all commands together."""
    result: Callable[[str, Path], dict[str, Any]]
    """Makes the result from the output of the last command and the part's own folder; raises
    ``ValueError`` or ``OSError`` if there is none."""
    environment: Mapping[str, str] = field(default_factory=dict)
    counts_unfinished: bool = False
    """Whether there may be a result although a command failed or was stopped."""


def parts(device: str, folder: Path) -> list[Part]:
    """Return the parts in the order in which they run."""
    maskcast = (sys.executable, "-m", "maskcast.cli.main")
    pytest = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    tests = (*pytest, "tests/contract/test_devices.py")
    train = ("train", *TRAINING, "--device", device)
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1", "-m")
    distributed = (sys.executable, *launch, "maskcast.cli.main")
    plain = (*maskcast, *train, "--run", str(folder / "training" / "run"))
    plan = [
        Part("tests", (tests,), 90, _tests, {"MASKCAST_TEST_CARD": "1"}),
        Part("resume", tuple(_resumed_runs(maskcast, device, folder / "resume")), 45, _same_masks),
        Part("training", (plain,), 45, _losses),
    ]
    if device != "cpu":
        grouped = (*distributed, *train, "--run", str(folder / "nccl" / "run"))
        plan.append(Part("nccl", (grouped,), 45, _losses))
    for method, seconds in (("agame", 40), ("lwl", 85), ("eosvos", 100)):
        figures = str(folder / method / "bench.json")
        bench = (*maskcast, "bench", "--method", method, "--device", device, "--json", figures)
        plan.append(Part(method, (bench,), seconds, _benchmark, counts_unfinished=True))
    return plan


def time_limit(part: Part, plan: Sequence[Part], elapsed: float, patience: float = 1) -> float:
    """Return the largest time for a part, in seconds: all but the shares of the parts after it.

    Args:
        part: a part of the plan.
        plan: all parts that run, in their order.
        elapsed: time since the start of the first part, in seconds.
        patience: factor on the whole time and on all shares.
    """
    later = plan[plan.index(part) + 1 :]
    return patience * (SECONDS - sum(part.seconds for part in later)) - elapsed


def _resumed_runs(
    maskcast: tuple[str, ...], device: str, folder: Path
) -> Iterator[tuple[str, ...]]:
    """Yield commands that make a clip, segment it at once, and again in two parts."""
    make = (
        "import sys; from benchmarks.gpu.clip import write_clip; write_clip(sys.argv[1])",
        str(folder / "clip"),
    )
    yield (sys.executable, "-c", *make)
    segment = (
        *(*maskcast, "segment", str(folder / "clip" / "frames")),
        *("--masks", str(folder / "clip" / "mask.png"), "--device", device, "--deterministic"),
    )
    yield (*segment, "-o", str(folder / "whole"))
    yield (*segment, "-o", str(folder / "parts"), "--end", "5")
    yield (*segment, "-o", str(folder / "parts"))


def _same_masks(_: str, folder: Path) -> dict[str, Any]:
    whole = {path.name: path.read_bytes() for path in (folder / "whole").glob("*.png")}
    resumed = {path.name: path.read_bytes() for path in (folder / "parts").glob("*.png")}
    if not whole:
        raise ValueError("no masks were written")
    return {"frames": len(whole), "equal": whole == resumed}


def _tests(output: str, _: Path) -> dict[str, Any]:
    summary = output.strip().splitlines()[-1]
    return {"summary": summary, "on_gpu": "skipped" not in summary}


def _benchmark(_: str, folder: Path) -> dict[str, Any]:
    return {**json.loads((folder / "bench.json").read_text("utf-8"))}


def _losses(_: str, folder: Path) -> dict[str, Any]:
    lines = (folder / "run" / "metrics.jsonl").read_text("utf-8").splitlines()
    steps = [json.loads(line) for line in lines]
    totals = [step["total"] for step in steps if step.get("kind") == "train"]
    if not totals:
        raise ValueError("no step was logged")
    return {"loss": totals[-1], "training_seconds": steps[-1].get("seconds")}


def run_part(part: Part, folder: Path, limit: float) -> dict[str, Any]:
    """Run the commands of a part, and return its result, its status and its time in seconds.

    Unless the status is ``"ok"``, ``output`` has the end of what the last command printed.

    Args:
        part: what to run.
        folder: the part's own folder; created.
        limit: largest time for all its commands together, in seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    began, output = time.monotonic(), ""
    status, result = "ok", {}
    environment = {**os.environ, **part.environment, "PYTHONPATH": _python_path()}
    try:
        for command in part.commands:
            left = limit - (time.monotonic() - began)
            if left <= 0:
                raise subprocess.TimeoutExpired(command, limit)
            code, output = _run(command, environment, left)
            if code:
                status = f"failed with exit code {code}"
                break
        else:
            result = part.result(output, folder)
    except subprocess.TimeoutExpired as stopped:
        status, output = f"stopped at its time limit of {limit:.0f} s", str(stopped.output or "")
    except (ValueError, OSError, KeyError) as error:
        status = f"no result: {error}"
    taken = {"status": status, "seconds": round(time.monotonic() - began, 1)}
    if status == "ok":
        return taken | result
    if part.counts_unfinished:
        with suppress(ValueError, OSError, KeyError):
            result = part.result(output, folder)
    return taken | {"output": output[-4000:]} | result


def _run(command: Sequence[str], environment: Mapping[str, str], limit: float) -> tuple[int, str]:
    """Return the exit code and the output of a command; kill it with its children at the limit.

    Raises:
        subprocess.TimeoutExpired: the command was killed; with its output up to then.
    """
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            _kill(process.pid)
            output = ""
            with suppress(subprocess.TimeoutExpired):
                output, _ = process.communicate(timeout=10)
            raise subprocess.TimeoutExpired(command, limit, output) from None
        except BaseException:
            _kill(process.pid)
            raise
    return process.returncode, output


def _kill(group: int) -> None:
    """Kill a process group and all that its leader started.

    torchrun starts its processes in sessions of their own, which are other groups.
    """
    started: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        started = psutil.Process(group).children(recursive=True)
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    for process in started:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _python_path() -> str:
    known = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(ROOT / "src"), str(ROOT), *([known] if known else [])])


def machine(device: str) -> dict[str, Any]:
    """Return what the figures depend on."""
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, text=True, capture_output=True, check=False
    )
    return {
        "device": name_of(choose_device(device)),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "commit": commit.stdout.strip() or None,
    }


def table(report: Mapping[str, Any]) -> str:
    """Return the parts and the frames per second as Markdown."""
    lines = ["| part | status | seconds |", "|---|---|---|"]
    lines += [
        f"| {name} | {part['status']} | {part['seconds']} |"
        for name, part in report["parts"].items()
    ]
    lines += ["", "| method | case | frames/s | ms |", "|---|---|---|---|"]
    for method, published in PAPER_FPS.items():
        for case, figures in report["parts"].get(method, {}).get(method, {}).items():
            rate = figures.get("frames_per_second", 1000 / figures["ms"])
            lines.append(f"| {method} | {case} | {rate:.1f} | {figures['ms']:.1f} |")
        lines += [
            f"| {method} | {name} (published) | {rate} | |" for name, rate in published.items()
        ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts; exit with 1 if one of them did not finish."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu-report.json"))
    parser.add_argument("--patience", type=float, default=1, help="factor on the whole time")
    parser.add_argument("--only", nargs="+", metavar="PART", help="run only these parts")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    report: dict[str, Any] = {"machine": machine(options.device), "parts": {}}
    with tempfile.TemporaryDirectory() as scratch:
        every = parts(options.device, Path(scratch))
        plan = [part for part in every if not options.only or part.name in options.only]
        for part in plan:
            limit = time_limit(part, plan, time.monotonic() - began, options.patience)
            report["parts"][part.name] = run_part(part, Path(scratch) / part.name, limit)
            write_text(options.output, json.dumps(report, indent=1) + "\n")
            print(f"{part.name}: {report['parts'][part.name]['status']}", flush=True)
    print(table(report))
    return 0 if all(part["status"] == "ok" for part in report["parts"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
