"""A browser, a server and a page for tests; skipped with a message where there is no browser."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("starlette", reason="the extra app is not installed")

from playwright.sync_api import Browser, sync_playwright

from web.browser.application import Server, Workbench, find_browser
from web.browser.clips import planted_picture, write_clip, write_stand_in_weights
from web.browser.witness import describe

Visit = Callable[..., Workbench]
TABS = pytest.StashKey[list[Workbench]]()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium: install it, or name it in MASKCAST_CHROMIUM")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shots() -> Path | None:
    """Where pictures of the page are kept; None: nowhere."""
    folder = os.environ.get("MASKCAST_SCREENSHOTS")
    if folder is None:
        return None
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)


@pytest.fixture(scope="session")
def shared_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clips of 40 and 100 frames, one with planted faults, and the weights."""
    folder = tmp_path_factory.mktemp("browser") / "root"
    write_clip(folder / "clip.mp4", 40)
    write_clip(folder / "hundred.mp4", 100)
    write_clip(folder / "planted.mp4", 40, draw=planted_picture)
    write_stand_in_weights(folder / "colours.safetensors")
    return folder


@pytest.fixture(scope="session")
def shared_server(shared_root: Path) -> Iterator[Server]:
    """One server for all tests that leave it as it is."""
    server = Server(shared_root).start()
    yield server
    server.stop()


@pytest.fixture
def root(tmp_path: Path, shared_root: Path) -> Path:
    """A folder of this test alone, with the clip and the weights."""
    return Path(shutil.copytree(shared_root, tmp_path / "root", ignore=only_inputs))


def only_inputs(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name not in ("clip.mp4", "colours.safetensors")]


@pytest.fixture
def serve(root: Path) -> Iterator[Callable[..., Server]]:
    """Start servers of this test alone."""
    started: list[Server] = []

    def start(*video: str, folder: Path = root, **how: Any) -> Server:
        started.append(Server(folder, **how).start(*video))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add to the report of a failure what the pages of the test look like."""
    report = yield
    for i, tab in enumerate(item.stash.get(TABS, [])):
        if report.failed:
            folder = os.environ.get("MASKCAST_SCREENSHOTS")
            name = re.sub(r"\W+", "-", item.name)
            picture = None if folder is None else Path(folder) / f"failed-{name}-{i}.png"
            report.sections.append((f"tab {i}", describe(tab, picture)))
    return report


@pytest.fixture
def visit(browser: Browser, shots: Path | None, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Open tabs; at the end no console may have said anything unexpected."""
    opened: list[Workbench] = []
    request.node.stash[TABS] = opened

    def open_tab(server: Server, **look: Any) -> Workbench:
        opened.append(Workbench(browser, server, shots, **look))
        return opened[-1]

    yield open_tab
    surprises = [trouble for tab in opened for trouble in tab.surprises()]
    for tab in opened:
        tab.context.close()
    assert surprises == []


@pytest.fixture
def bench(shared_server: Server, visit: Visit, request: pytest.FixtureRequest) -> Workbench:
    """The workbench with the clip and a run folder of this test alone."""
    tab = visit(shared_server)
    return tab.open("clip.mp4", f"runs/{request.node.name}")
