"""The report of a machine with a GPU: its parts fail one by one, and it is complete without one."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import gpu_report as report
import psutil
import pytest


def part(*codes: str, result=lambda output, _: {"said": output.strip()}) -> report.Part:
    commands = tuple((sys.executable, "-c", code) for code in codes)
    return report.Part("some", commands, 60, result)


def test_the_result_is_made_from_the_last_command(tmp_path):
    made = report.run_part(part("print(1)", "print(2)"), tmp_path, 60)
    assert (made["status"], made["said"]) == ("ok", "2")


def test_a_failing_command_ends_its_part_and_shows_its_output(tmp_path):
    made = report.run_part(part("print('why'); raise SystemExit(5)", "print(2)"), tmp_path, 60)
    assert made["status"] == "failed with exit code 5"
    assert made["output"] == "why\n"


def test_a_command_that_hangs_is_stopped(tmp_path):
    made = report.run_part(part("import time; time.sleep(600)"), tmp_path, 0.2)
    assert made["status"].startswith("stopped at its time limit of 0 s")


@pytest.mark.parametrize("child", ["sleep 600", "setsid sleep 600"])
def test_children_of_a_command_that_hangs_are_stopped_too(child):
    script = f"{child} & echo $!; wait"
    command = ["sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as parent:
        process = psutil.Process(int(parent.stdout.readline()))
        report._kill(parent.pid)
    gone, _ = psutil.wait_procs([process], timeout=30)
    assert gone == [process]


def test_a_missing_file_is_no_result(tmp_path):
    made = report.run_part(part("pass", result=report._losses), tmp_path, 60)
    assert made["status"].startswith("no result")


def test_masks_of_both_runs_are_compared(tmp_path):
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "00000.png").write_bytes(name.encode())
    assert report._same_masks("", tmp_path) == {"frames": 1, "equal": False}
    (tmp_path / "parts" / "00000.png").write_bytes(b"whole")
    assert report._same_masks("", tmp_path) == {"frames": 1, "equal": True}


def test_the_shares_of_all_parts_fit_into_the_time(tmp_path):
    plan = report.parts("cuda", tmp_path)
    names = [part.name for part in plan]
    assert names == ["tests", "resume", "training", "nccl", "agame", "lwl", "eosvos"]
    assert sum(part.seconds for part in plan) <= report.SECONDS


def test_a_part_that_uses_its_whole_limit_takes_no_share_of_another(tmp_path):
    plan, elapsed = report.parts("cuda", tmp_path), 0.0
    for part in plan:
        limit = report.time_limit(part, plan, elapsed, patience=2)
        assert limit >= 2 * part.seconds
        elapsed += limit
    assert elapsed == 2 * report.SECONDS


def test_the_last_part_may_use_what_the_others_have_left(tmp_path):
    plan = report.parts("cuda", tmp_path)
    assert report.time_limit(plan[-1], plan, 100.0) == report.SECONDS - 100


@pytest.mark.parametrize(
    ("end", "limit", "status"),
    [
        ("exec sleep 600", 1.0, "stopped at its time limit of 1 s"),
        ("exit 5", 60.0, "failed with exit code 5"),
    ],
)
def test_the_cases_of_an_unfinished_benchmark_are_kept(tmp_path, end, limit, status):
    figures = {"Y_ms": 1.0, "lwl": {"first": {"ms": 4.0}}}
    (tmp_path / "source.json").write_text(json.dumps(figures))
    script = f"cp {tmp_path}/source.json {tmp_path}/bench.json; echo so far; {end}"
    command = ("sh", "-c", script)
    bench = report.Part("lwl", (command,), 60, report._benchmark, counts_unfinished=True)
    made = report.run_part(bench, tmp_path, limit)
    assert made["status"] == status
    assert (made["lwl"], made["output"]) == (figures["lwl"], "so far\n")
    assert "| lwl | first | 250.0 | 4.0 |" in report.table({"parts": {"lwl": made}})


def test_a_benchmark_that_is_stopped_before_its_first_case_has_no_figures(tmp_path):
    bench = part("import time; time.sleep(600)", result=report._benchmark)
    made = report.run_part(replace(bench, counts_unfinished=True), tmp_path, 0.2)
    assert made.keys() == {"status", "seconds", "output"}


def test_benchmarks_count_unfinished(tmp_path):
    unfinished = {part.name for part in report.parts("cuda", tmp_path) if part.counts_unfinished}
    assert unfinished == {"lwl", "agame", "eosvos"}


def test_the_report_is_written_with_a_table_of_frames_per_second(tmp_path, monkeypatch, capsys):
    figures = json.dumps({"lwl": {"10_objects_float32": {"ms": 4.0, "frames_per_second": 25.0}}})
    code = "import pathlib, sys; pathlib.Path(sys.argv[1], 'bench.json').write_text(sys.argv[2])"

    def parts(device, folder):
        command = (sys.executable, "-c", code, str(folder / "lwl"), figures)
        return [report.Part("lwl", (command,), 60, report._benchmark)]

    monkeypatch.setattr(report, "parts", parts)
    output = tmp_path / "gpu.json"
    assert report.main(["--device", "cpu", "-o", str(output)]) == 0
    assert json.loads(output.read_text())["parts"]["lwl"]["status"] == "ok"
    assert "| lwl | 10_objects_float32 | 25.0 | 4.0 |" in capsys.readouterr().out
