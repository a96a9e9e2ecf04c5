"""``maskcast batch`` on the command line, with the stand-in method in this process."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from batch.small_batch import Engines, write_manifest, write_video
from fixtures.batch_stand_in import make_source
from maskcast.batch import batch_run
from maskcast.batch.engine import WorkerUnable
from maskcast.cli import batch
from maskcast.cli.main import main
from maskcast.core import gpus
from maskcast.methods import precision

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "batch.md").read_text()


@pytest.fixture
def engines(tmp_path, monkeypatch) -> Engines:
    """Work in this process and in a temporary folder."""
    engines = Engines()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(batch, "_make_source", make_source)
    monkeypatch.setattr(batch_run, "ProcessEngine", engines)
    return engines


@pytest.fixture
def manifest(tmp_path) -> Path:
    return write_manifest(tmp_path, *(write_video(tmp_path, name) for name in "ab"))


RUN = ("batch", "run", "videos.jsonl", "-o", "out", "--jobs", "1", "--threads", "1")


def test_the_commands_of_the_page_run_in_their_order(engines, tmp_path, monkeypatch, capsys):
    for name in ("cam1", "cam2", "cam3"):
        write_video(tmp_path / "clips", name)
    video = {**write_video(tmp_path, "car"), "x_task": "17"}
    write_manifest(tmp_path, video, name="tasks.jsonl")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "5")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    lines = [line for language, block in blocks if not language for line in block.splitlines()]
    outputs = 0
    for line in lines:
        words = shlex.split(line.removeprefix("srun ").replace("$TMPDIR", "scratch"))
        assert words[0] == "maskcast"
        words = ["shard" if word == "/shared/out" else word for word in words]
        if words[3] == "tasks.jsonl":  # another page of the story, in a folder of its own
            outputs += 1
        if outputs:
            words = ["tasks" if word == "out" else word for word in words]
        if words[2] == "run":  # --jobs belongs to processes
            words += ["--threads", "1"]
        if words[3] == "out/failures.jsonl":
            (tmp_path / "out" / "failures.jsonl").write_text(
                (tmp_path / "clips.jsonl").read_text().replace('"clips/', '"../clips/')
            )
        assert main(words[1:]) == 0, (line, capsys.readouterr())
    assert len(lines) >= 9
    assert len(list((tmp_path / "out" / "videos").iterdir())) == 3
    assert (tmp_path / "masks.tar").is_file()
    assert "estimate for all 3 rows" in capsys.readouterr().out


def test_flags_of_the_examples_exist(engines, capsys):
    with pytest.raises(SystemExit):
        main(["batch", "run", "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    script = (ROOT / "examples" / "batch.sbatch").read_text()
    (command,) = re.findall(r"^srun maskcast (.*)$", script, flags=re.MULTILINE)
    job = yaml.safe_load((ROOT / "examples" / "batch-job.yaml").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    used = re.findall(r"(?<= )--[a-z-]+", command) + [
        word.partition("=")[0] for word in container["command"] if word.startswith("--")
    ]
    assert len(used) >= 5
    assert set(used) <= known
    shards = int(re.search(r"--array=0-(\d+)", script)[1]) + 1
    assert f"slurm/{shards} " in command
    assert f"--shard=kubernetes/{job['spec']['completions']}" in container["command"]


def test_exit_codes(engines, manifest, tmp_path, capsys):
    assert main(RUN) == 0
    out = capsys.readouterr().out
    assert "2 finished, 0 failed, 0 left" in out
    assert "out/report.html" in out
    write_manifest(tmp_path, {"id": "gone", "video": "gone", "masks": "a.png"})
    assert main(RUN) == 4
    assert "gone: video" in capsys.readouterr().err
    write_manifest(tmp_path, {"video": "a"})
    assert main(RUN) == 3
    assert "line 1, masks: missing; give masks or boxes (MANIFEST)" in capsys.readouterr().err
    assert main([*RUN, "--shard", "9/3"]) == 2
    assert "(--shard)" in capsys.readouterr().err
    assert main([*RUN, "--stall", "soon"]) == 2
    assert main(["batch", "status", "nowhere"]) == 3


def test_a_model_that_cannot_be_built_stops_before_any_video(
    engines, manifest, monkeypatch, capsys
):
    def unable(*_, **__):
        return make_source(weights=None, method=None, options={"unable": "1"}, device="", dtype="")

    def start_worker(engine):

        engine.worker += 1
        engine.events_.append(WorkerUnable(engine.worker, "the weights are damaged", 3))
        return engine.worker

    monkeypatch.setattr("batch.small_batch.InlineEngine.start_worker", start_worker)
    assert main(RUN) == 3
    assert "the weights are damaged" in capsys.readouterr().err
    assert engines.made[-1].given_ids == []


def test_unknown_weights_of_a_row_are_named_before_anything_runs(
    engines, manifest, tmp_path, capsys
):
    write_manifest(tmp_path, {"video": "a", "masks": "a.png", "weights": "lwl-smal"})
    assert main(RUN) == 3
    err = capsys.readouterr().err
    assert "line 1, weights:" in err
    assert "lwl-small" in err
    assert not (tmp_path / "out").exists()


def test_status_as_text_and_as_json(engines, manifest, capsys):
    main([*RUN, "--price", "2.5"])
    capsys.readouterr()
    assert main(["batch", "status", "out", "--verify"]) == 0
    assert re.search(r"finished by their run cards +2\n", capsys.readouterr().out)
    assert main(["batch", "status", "out", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["finished"], figures["left"], figures["workers"]) == (2, 0, [])
    assert figures["cost"] is not None
    assert main(["batch", "status", "out", "--watch"]) == 0
    assert "2 finished, 0 failed, 0 left" in capsys.readouterr().out


def test_a_dry_run_counts_and_writes_nothing(engines, manifest, tmp_path, capsys):
    assert main([*RUN, "--dry-run"]) == 0
    assert re.search(r"to segment +2\n", capsys.readouterr().out)
    assert not (tmp_path / "out").exists()


def test_check_reads_every_video_and_lists_all_problems(engines, manifest, tmp_path, capsys):
    assert main(["batch", "check", "videos.jsonl", "--read"]) == 0
    assert "2 rows, 12 frames, no errors" in capsys.readouterr().out
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    rows[0]["video"] = "gone"
    rows[1]["masks"] = "none.png"
    write_manifest(tmp_path, *rows)
    assert main(["batch", "check", "videos.jsonl"]) == 0
    capsys.readouterr()
    assert main(["batch", "check", "videos.jsonl", "--read"]) == 3
    err = capsys.readouterr().err
    assert "a: video" in err
    assert "b: mask" in err


def recorded_dtype(tmp_path) -> str:
    return json.loads((tmp_path / "out" / "batch.json").read_text())["settings"]["dtype"]


AUTO = (*RUN, "--dtype", "auto")


def test_a_batch_keeps_the_data_type_that_it_began_with(
    engines, manifest, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(batch, "_usual_dtype", lambda device, ray: "small-bfloat16")
    assert main([*AUTO, "--limit", "1"]) == 0
    assert recorded_dtype(tmp_path) == "small-bfloat16"
    monkeypatch.setattr(batch, "_usual_dtype", lambda device, ray: "float32")
    assert main([*AUTO]) == 0
    assert recorded_dtype(tmp_path) == engines.made[-1].setup.settings.dtype == "small-bfloat16"
    assert engines.made[-1].given_ids == ["b"]
    assert main([*RUN]) == 2
    assert "the setting dtype was small-bfloat16, now float32" in capsys.readouterr().err


def test_auto_continues_a_batch_in_float32(engines, manifest, tmp_path, monkeypatch):
    assert main([*RUN, "--limit", "1"]) == 0
    monkeypatch.setattr(batch, "_usual_dtype", lambda device, ray: "small-bfloat16")
    assert main([*AUTO]) == 0
    assert recorded_dtype(tmp_path) == engines.made[-1].setup.settings.dtype == "float32"


def test_workers_use_the_data_type_of_the_batch_for_small_weights(monkeypatch):
    def made(weights, method=None):
        return batch._make_source(
            weights=weights, method=method, options={}, device="cpu", dtype="small-bfloat16"
        )

    monkeypatch.setattr(precision, "has_bfloat16", lambda device: False)  # on another machine
    assert made(None).dtype == made("lwl-small").dtype == "bfloat16"
    assert made("lwl-ytvos").dtype == made(None, "eosvos").dtype == "float32"


@pytest.mark.parametrize("ray", [None, "auto"])
def test_what_auto_means_is_asked_in_a_process_of_its_own(ray, monkeypatch):
    asked = []

    def printed_by(code):
        asked.append(code)
        return "small-bfloat16"

    monkeypatch.setattr(gpus, "printed_by", printed_by)
    usual = batch._usual_dtype("cpu", ray)
    assert usual == ("float32" if ray else "small-bfloat16")
    assert [code.count("shared_dtype('cpu')") for code in asked] == ([] if ray else [1])
