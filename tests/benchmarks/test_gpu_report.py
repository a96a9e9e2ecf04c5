"""The report of a machine with a GPU: its parts fail one by one, and it is complete without one."""

from __future__ import annotations

import json
import sys
import time

import gpu_report as report


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
    assert made["status"].startswith("stopped after")


def test_children_of_a_command_that_hangs_are_stopped_too(tmp_path):
    child = ["sleep", "600"]
    began = time.monotonic()
    made = report.run_part(part(f"import subprocess; subprocess.run({child})"), tmp_path, 1.0)
    assert made["status"].startswith("stopped after")
    assert time.monotonic() - began < 60  # a child that lives on would keep the output open


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


def test_all_parts_together_fit_into_the_time(tmp_path):
    names = [part.name for part in report.parts("cuda", tmp_path)]
    assert names == ["tests", "resume", "lwl", "agame", "eosvos", "training", "nccl"]


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
