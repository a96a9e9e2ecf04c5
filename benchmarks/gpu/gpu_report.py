"""Check and measure maskcast on a machine with a GPU, in at most eight minutes.

    scripts/gpu_report [--device cuda] [-o gpu-report.json] [--only PART …] [--patience 1]

Needs a checkout with the extra ``dev`` installed; no data, no network. Every part runs in its own
process with a time limit, so that one that fails or hangs costs only its own results. The JSON file
is written again after every part.

tests         ``tests/contract/test_devices.py`` on the GPU: every method finds what it finds on the
              CPU, stays on the GPU, and repeats to the bit in deterministic mode
resume        a deterministic run of ``lwl-small`` in two parts has the masks of one without a stop
lwl, agame,   ``maskcast bench``: frames per second in float32 and bfloat16, for one, three and ten
eosvos        objects, LWL also with CUDA graphs; e-OSVOS-10 and e-OSVOS-50-OnA as in the paper
training      twelve steps of training in bfloat16, on synthetic clips
nccl          the same in a process group of one process

On a CPU the same parts run as a rehearsal, apart from ``nccl``: ``--device cpu --patience 20``,
which multiplies all time limits.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
    """Largest time for all commands together."""
    result: Callable[[str, Path], dict[str, Any]]
    """Makes the result from the output of the last command and the part's own folder; raises
    ``ValueError`` or ``OSError`` if there is none."""
    environment: Mapping[str, str] = field(default_factory=dict)


def parts(device: str, folder: Path) -> list[Part]:
    """Return the parts in the order in which they run."""
    maskcast = (sys.executable, "-m", "maskcast.cli.main")
    pytest = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    tests = (*pytest, "tests/contract/test_devices.py")
    train = ("train", *TRAINING, "--device", device)
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1", "-m")
    distributed = (sys.executable, *launch, "maskcast.cli.main")
    found = [
        Part("tests", (tests,), 100, _tests, {"MASKCAST_TEST_CARD": "1"}),
        Part("resume", tuple(_resumed_runs(maskcast, device, folder / "resume")), 60, _same_masks),
    ]
    for method, seconds in (("lwl", 120), ("agame", 60), ("eosvos", 200)):
        figures = str(folder / method / "bench.json")
        bench = (*maskcast, "bench", "--method", method, "--device", device, "--json", figures)
        found.append(Part(method, (bench,), seconds, _benchmark))
    plain = (*maskcast, *train, "--run", str(folder / "training" / "run"))
    found.append(Part("training", (plain,), 60, _losses))
    if device != "cpu":
        grouped = (*distributed, *train, "--run", str(folder / "nccl" / "run"))
        found.append(Part("nccl", (grouped,), 60, _losses))
    return found


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
    except subprocess.TimeoutExpired:
        status = f"stopped after {limit:.0f} s"
    except (ValueError, OSError, KeyError) as error:
        status = f"no result: {error}"
    taken = {"status": status, "seconds": round(time.monotonic() - began, 1)}
    return {**taken, **result} if status == "ok" else {**taken, "output": output[-4000:]}


def _run(command: Sequence[str], environment: Mapping[str, str], limit: float) -> tuple[int, str]:
    """Return the exit code and the output of a command; kill it with its children at the limit."""
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
        except BaseException:  # a child that lives on would keep the pipe open
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, output


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
    parser.add_argument("--patience", type=float, default=1, help="factor on all time limits")
    parser.add_argument("--only", nargs="+", metavar="PART", help="run only these parts")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    report: dict[str, Any] = {"machine": machine(options.device), "parts": {}}
    with tempfile.TemporaryDirectory() as scratch:
        for part in parts(options.device, Path(scratch)):
            if options.only and part.name not in options.only:
                continue
            left = options.patience * SECONDS - (time.monotonic() - began)
            limit = min(options.patience * part.seconds, left)
            report["parts"][part.name] = run_part(part, Path(scratch) / part.name, limit)
            write_text(options.output, json.dumps(report, indent=1) + "\n")
            print(f"{part.name}: {report['parts'][part.name]['status']}", flush=True)
    print(table(report))
    return 0 if all(part["status"] == "ok" for part in report["parts"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
