"""The server in a process of its own, and the page in a browser, as tests use them."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from playwright.sync_api import Browser, Page

from maskcast.core.arrays import LabelArray
from web.browser.witness import Output, Traffic

TESTS = Path(__file__).parents[2]
PATIENCE = 1000 * float(os.environ.get("MASKCAST_TEST_PATIENCE", "120"))
"""Milliseconds that a test waits for something on a busy machine."""
JOB_PATIENCE = 4 * PATIENCE / 1000
"""Seconds that a test waits for the end of a job, which may have to load a model first."""
SETTLED = (
    "maskcast.session.edits.idle && maskcast.session.boxesPending.value === 0"
    " && maskcast.stage.value?.current"
)
"""Every edit is on disk, and the stage shows all that is known about the frame."""


def search_path() -> str:
    """Return PYTHONPATH for processes that tests start."""
    folders = [str(TESTS), str(TESTS.parent / "src"), os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(folders)


def find_browser() -> str | None:
    """Return the path of Chromium, or None."""
    named = os.environ.get("MASKCAST_CHROMIUM")
    return named or shutil.which("chromium") or shutil.which("chromium-browser")


LABELS_IN_BASE64 = """
(() => {
  const labels = maskcast.stage.value.labels();
  if (labels === null) return null;
  let text = "";
  for (let i = 0; i < labels.data.length; i += 4096)
    text += String.fromCharCode(...labels.data.subarray(i, i + 4096));
  return btoa(text);
})()
"""


class Server:
    """A server of one root folder, in a process of its own."""

    def __init__(
        self, root: Path, *, real: bool = False, step_seconds: float = 0, threads: int = 1
    ) -> None:
        """Describe it.

        Args:
            root: the folder that the page may open files from.
            real: serve with the command and the weights of the package.
            step_seconds: time that the stand-in takes for a frame.
            threads: threads of the real method.
        """
        self.root = root
        self.address = ""
        self._real, self._threads = real, threads
        self._slow = root.parent / "slow"
        self.pace(step_seconds)
        self._process: subprocess.Popen[str] | None = None
        self._output: Output | None = None

    def pace(self, step_seconds: float) -> None:
        """Set the time that the stand-in takes for a frame, for the present one too."""
        self._slow.write_text(str(step_seconds))

    def start(self, *video: str) -> Server:
        """Start it, and wait until it listens."""
        environment = {
            **os.environ,
            "PYTHONPATH": search_path(),
            "MASKCAST_CACHE": str(self.root.parent / "cache"),
            "MASKCAST_TEST_SLOW": str(self._slow),
            "OMP_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            [*self._command(), *video],
            env=environment,
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._output = Output(self._process.stdout)
        end = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < end and self._process.poll() is None:
            if found := re.search(r"http://\S+#token=\S+", "\n".join(self.output)):
                self.address = found[0]
                return self
            time.sleep(0.02)
        raise AssertionError(f"the server has not started: {self.output}")

    @property
    def output(self) -> list[str]:
        """The last lines that it has printed."""
        return [] if self._output is None else list(self._output.lines)

    def _command(self) -> list[str]:
        if self._real:
            command = "from maskcast.cli.main import main; main()"
            return [
                sys.executable,
                "-c",
                command,
                "app",
                "--no-browser",
                "--threads",
                str(self._threads),
            ]
        return [sys.executable, str(Path(__file__).with_name("serve_stand_in.py")), str(self.root)]

    @property
    def origin(self) -> str:
        return self.address.split("/#")[0]

    def kill(self) -> None:
        """End the process at once, as a crash does; its children see it and leave."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def kill_model_worker(self) -> None:
        """Kill the child that computes, as the system does when memory runs out."""
        assert self._process is not None
        children = psutil.Process(self._process.pid).children()
        max(children, key=lambda child: child.nice()).kill()

    def memory(self) -> list[int]:
        """Return the resident bytes of the server and of its workers."""
        assert self._process is not None
        server = psutil.Process(self._process.pid)
        workers = [
            child for child in server.children() if "spawn_main" in " ".join(child.cmdline())
        ]
        return [process.memory_info().rss for process in (server, *workers)]

    def stop(self) -> None:
        """End the process as Ctrl-C does."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Workbench:
    """The page in one tab: what a person sees and does, by names and places in the video."""

    def __init__(
        self,
        browser: Browser,
        server: Server,
        shots: Path | None,
        *,
        deaf: bool = False,
        **look: Any,
    ) -> None:
        """Open the page.

        Args:
            browser: the browser.
            server: its server, which listens.
            shots: the folder for pictures of the page; None keeps none.
            deaf: never answer the request for events, so that this tab hears of no other.
            look: options of the browser's context, such as its colour scheme.
        """
        options = {"viewport": {"width": 1280, "height": 720}, **look}
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.server, self.shots = server, shots
        self.traffic = Traffic(self.page)
        self.troubles: list[str] = []
        self.requests: list[str] = []
        # Masks may be replaced by newer ones while they are asked for.
        # A worker process may start slowly on a busy machine; a run's video may have gone.
        self._expected = ["409 .*/api/labels/", "503 ", "404 .*/thumbnail"]
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("request", lambda request: self.requests.append(request.url))
        if deaf:
            self.page.route("**/api/events*", lambda route: None)
        self.page.goto(server.address)

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(f"{message.text} {message.location.get('url', '')}")

    def expect_trouble(self, *patterns: str) -> None:
        """Allow messages in the console which a test provokes."""
        self._expected += patterns

    def surprises(self) -> list[str]:
        """Return what the console said and no test expected."""
        return [t for t in self.troubles if not any(re.search(p, t) for p in self._expected)]

    def wait_for_workbench(self) -> Workbench:
        """Wait for the project that the server was started with, or that another tab has opened."""
        self.page.locator(".workbench").wait_for()
        self.settled()
        return self

    def open(self, video: str, run: str) -> Workbench:
        """Open a video of the root with the stand-in's weights; another project is closed."""
        self.wait("maskcast.session.hello.value")
        asked = json.dumps({"video": video, "run": run, "weights": "colours.safetensors"})
        # Requests for the project before fail once it is closed.
        self.expect_trouble("400 .*/api/(tracks|flags|frames|labels|project|prompts|look)")
        self.page.evaluate(
            f"maskcast.session.api.close().then(() => maskcast.session.open({asked}))"
        )
        return self.wait_for_workbench()

    def shot(self, name: str) -> None:
        """Keep a picture of the page, if pictures are wanted."""
        if self.shots is not None:
            self.page.screenshot(path=self.shots / f"{name}.png")

    # what the page knows

    def value(self, expression: str) -> Any:
        """Evaluate an expression in the page; ``maskcast`` is its workspace."""
        return json.loads(self.page.evaluate(f"JSON.stringify({expression}) ?? 'null'"))

    def wait(self, expression: str, seconds: float = PATIENCE / 1000) -> None:
        """Wait until an expression holds; the page's own policy forbids what Playwright offers."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < end, f"{expression} has not become true"
            self.page.wait_for_timeout(30)

    def project(self) -> Any:
        return self.value("maskcast.session.project.value")

    @property
    def run(self) -> Path:
        return self.server.root / self.project()["run"]

    def settled(self) -> None:
        """Wait until every edit is on disk and all that is known about the frame is shown."""
        self.wait(SETTLED)

    def repainted(self) -> None:
        """Wait until the screen shows what the page has drawn."""
        self.settled()
        self.page.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def shown(self) -> LabelArray:
        """Return the masks that the stage shows, as slots."""
        video = self.project()["video"]
        size = (video["height"], video["width"])
        packed = self.page.evaluate(LABELS_IN_BASE64)
        if packed is None:
            return np.zeros(size, np.uint8)
        return np.frombuffer(base64.b64decode(packed), np.uint8).reshape(size)

    # what a person does

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point of the video lies on the page."""
        box = self.page.locator(".stage").bounding_box()
        assert box is not None
        view = self.value("maskcast.stage.value.view.value")
        ratio = self.value("devicePixelRatio")
        left = box["x"] + (x * view["scale"] + view["left"]) / ratio
        return left, box["y"] + (y * view["scale"] + view["top"]) / ratio

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def go_to(self, frame: int) -> None:
        self.page.evaluate("document.activeElement?.blur()")
        field = self.page.get_by_label("Frame number")
        field.fill(str(frame + self.project()["video"]["first"]))
        field.press("Enter")
        self.page.evaluate("document.activeElement?.blur()")
        self.wait(f"maskcast.look.frame.value === {frame}")
        self.settled()

    def tool(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()
        self.page.evaluate("document.activeElement?.blur()")

    def brush(self, diameter: int) -> None:
        field = self.page.get_by_label("Brush size in pixels")
        field.fill(str(diameter))
        field.press("Enter")
        self.page.evaluate("document.activeElement?.blur()")

    def stroke(self, *points: tuple[float, float], button: str = "left") -> None:
        """Draw through points of the video."""
        self.settled()
        mouse = self.page.mouse
        mouse.move(*self.at(*points[0]))
        mouse.down(button=button)  # type: ignore[arg-type]
        for point in points[1:]:
            mouse.move(*self.at(*point), steps=4)
        mouse.up(button=button)  # type: ignore[arg-type]
        self.settled()

    def polygon(self, corners: Sequence[tuple[float, float]]) -> None:
        self.tool("Polygon")
        self.settled()
        for corner in corners:
            self.page.mouse.click(*self.at(*corner))
        self.press("Enter")
        self.settled()

    def square(self, box: tuple[int, int, int, int]) -> None:
        """Mark a rectangle of whole pixels by a polygon."""
        left, top, right, bottom = box
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)])

    def undo(self) -> None:
        """Undo one step, on whichever frame it lies."""
        before = self.project()["revision"]
        for _ in range(2):  # the first may only go to the frame of the step
            self.press("Control+z")
            self.settled()
            if self.project()["revision"] != before:
                return
        raise AssertionError("nothing was undone")

    def choose_object(self, slot: int) -> None:
        self.page.locator(".objects .name").nth(slot - 1).click()
        self.page.evaluate("document.activeElement?.blur()")

    def more(self, slot: int, choice: str) -> None:
        """Choose from the menu of an object."""
        self.page.get_by_role(
            "button", name=re.compile(f"^More about (object )?{slot}( |$)")
        ).click()
        self.page.get_by_role("menuitem", name=re.compile(f"^{choice}")).click()

    def track(self, choice: str = "to the end") -> Any:
        """Track, and wait for the end."""
        self.start_tracking(choice)
        return self.job_ended()

    def start_tracking(self, choice: str = "to the end") -> None:
        before = json.dumps(self.value("maskcast.session.job.value?.id"))
        self.page.get_by_role("button", name="How far to track").click()
        self.page.get_by_role("menuitem", name=re.compile(f"^{choice}")).click()
        self.page.evaluate("document.activeElement?.blur()")
        self.wait(f"(maskcast.session.job.value?.id ?? null) !== {before}")

    def job_ended(self) -> Any:
        ended = "['done', 'stopped', 'failed'].includes(maskcast.session.job.value?.state)"
        self.wait(ended, JOB_PATIENCE)
        self.settled()
        return self.value("maskcast.session.job.value")

    def until(self, condition: Callable[[], bool], seconds: float = PATIENCE / 1000) -> None:
        """Wait for something outside of the page."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "the condition has not become true"
            self.page.wait_for_timeout(50)


def read_labels(path: Path) -> LabelArray:
    """Return the object ids of an indexed PNG."""
    with Image.open(path) as picture:
        return np.asarray(picture)
