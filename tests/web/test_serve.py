"""The command, as a program of its own: started, asked, interrupted and killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.conftest import make_clip, maskcast  # noqa: F401 - a fixture
from contract.coloured_video import true_mask
from maskcast.io.label_maps import read_label_map
from maskcast.web import serve as serving

PROGRAM = Path(__file__).parent.parent / "fixtures" / "app_with_stand_in.py"
PATIENCE = 60.0


class Program:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        line = process.stdout.readline()
        match = re.fullmatch(r"open (http://127\.0\.0\.1:\d+)/#token=([\w-]{43})\n", line)
        assert match, line + process.stdout.read()
        self.address, self.token = match.groups()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        request = urllib.request.Request(
            self.address + path,
            data=body,
            method=method,
            headers={"authorization": f"Bearer {self.token}", **headers},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def listen(self) -> Any:
        """The stream of events."""
        headers = {"authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(self.address + "/api/events?after=0", headers=headers)
        return urllib.request.urlopen(request, timeout=PATIENCE)

    def until(self, wanted: Any, path: str = "/api/project") -> Any:
        for _ in range(int(PATIENCE / 0.1)):
            found = self.ask("GET", path)
            if found and wanted(found):
                return found
            time.sleep(0.1)
        raise AssertionError(found)


@contextmanager
def running(*arguments: str | Path, environment: dict[str, str]) -> Iterator[Program]:
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), "app", *map(str, arguments), "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | environment,
    ) as process:
        try:
            yield Program(process)
        finally:
            process.kill()


@pytest.fixture
def clip(tmp_path) -> Path:
    make_clip(tmp_path)
    return tmp_path


def test_the_server_loads_neither_torch_nor_pyav():
    script = "import sys, maskcast.web.serve; print({'torch', 'av'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


@pytest.mark.slow
def test_a_server_that_is_killed_loses_nothing(clip):
    slow = clip / "slow"
    slow.write_text("0.3")
    environment = {"MASKCAST_CACHE": str(clip / "cache"), "MASKCAST_TEST_SLOW": str(slow)}
    weights = ("--weights", clip / "colours.safetensors", "--root", clip)
    mask = true_mask(1, 0).numpy()
    with running(clip / "video", *weights, environment=environment) as program:
        project = program.until(lambda p: p["objects"] == [])
        program.ask("POST", "/api/objects", b"{}")
        program.ask(
            "PUT",
            "/api/prompts/0?slots=1",
            zlib.compress(mask.astype(np.uint8).tobytes()),
            **{"if-match": str(program.ask("GET", "/api/project")["revision"])},
        )
        tree = {"what": "track", "direction": "forward"}
        program.ask("POST", "/api/jobs", json.dumps(tree).encode())
        program.until(lambda p: p["job"] and p["job"]["done"] >= 3)
        program.process.send_signal(signal.SIGKILL)
    run = clip / project["run"]
    assert run == clip / "maskcast-runs" / "video"
    slow.write_text("0")
    with running(run, *weights[2:], environment=environment) as program:
        project = program.until(lambda p: p["stamps"])
        assert project["prompts"] == {"0": [1]}
        assert project["undo"]["did"] == "painted object 1"
        assert (read_label_map(run / "prompts" / "00000.png") == mask).all()
        assert project["stamps"][0][1] >= 2
        done = project["stamps"][0][1]
        job = None
        for _ in range(int(PATIENCE / 0.5)):  # until the worker of the killed server has left
            try:
                job = program.ask("POST", "/api/jobs", json.dumps(tree).encode())
                break
            except urllib.error.HTTPError as error:
                assert error.code == 409
                time.sleep(0.5)
        assert job is not None
        program.until(lambda p: p["job"] is None and p["stamps"][-1][1] == 11)
        card = json.loads((run / "run.json").read_text())
        assert card["status"] == "finished"
        assert card["resumed_from"] >= done
        frames = clip / "cache" / "frames"
        assert any(frames.rglob("*.jpg"))
        with program.listen() as stream:  # a page that listens does not keep the server alive
            assert json.loads(stream.readline())["type"] == "hello"
            program.process.send_signal(signal.SIGTERM)
            output = program.process.communicate(timeout=PATIENCE)[0]
    assert program.process.returncode == 0, output
    assert list(frames.iterdir()) == []
    assert "loaded: []" in output
    assert "Traceback" not in output
    assert program.token not in "".join(p.read_text() for p in (clip / "cache").rglob("*.log"))
    private = [path for path in (run, *run.rglob("*")) if path.stat().st_mode & 0o077]
    assert private == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["missing.mp4"], 3, "does not exist"),
        (["--host", "0.0.0.0"], 2, "not encrypted"),
        (["--port", "99999"], 2, "port must be"),
        (["--root", "no-folder"], 3, "not a folder"),
        (["--threads", "0"], 2, "threads must be"),
        (["--max-upload", "0"], 2, "max_upload must be"),
    ],
)
def test_bad_arguments_are_one_sentence(maskcast, arguments, code, words):  # noqa: F811
    maskcast("app", *arguments).assert_one_sentence(code, words)


def test_an_address_that_is_taken_is_one_sentence(maskcast, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    listener = serving._listen(serving.ServeOptions())
    port = listener.getsockname()[1]
    outcome = maskcast("app", "--port", str(port))
    listener.close()
    outcome.assert_one_sentence(2, "cannot listen on")


def test_without_the_extra_the_command_says_what_to_install(maskcast, monkeypatch):  # noqa: F811
    for name in [name for name in sys.modules if name.startswith(("maskcast.web", "starlette"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    maskcast("app").assert_one_sentence(2, 'pip install ".[app]"')


def test_the_browser_is_opened_by_a_private_file(monkeypatch, tmp_path):
    opened: list[str] = []
    monkeypatch.setattr(serving.webbrowser, "open", opened.append)
    with serving._shown_in_browser("http://127.0.0.1:1/#token=secret", wanted=True):
        (address,) = opened
        assert "secret" not in address
        path = Path(address.removeprefix("file://"))
        assert path.stat().st_mode & 0o077 == 0
        assert "#token=secret" in path.read_text()
    assert not path.exists()
