"""One server for the tests of a file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.web_server import Server, serve_in


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("MASKCAST_CACHE", str(folder))
        patch.setenv("MASKCAST_TEST_SLOW", str(folder / "slow"))
        yield folder


@pytest.fixture(scope="module")
def server(tmp_path_factory, cache) -> Iterator[Server]:
    """One server for all tests of a file; its worker processes are started once."""
    root = tmp_path_factory.mktemp("root")
    yield from serve_in(root)
    shutil.rmtree(root, ignore_errors=True)
