"""Hands oracle files to tests and checks afterwards that nothing in them was overlooked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oracle.plumbing import OracleFile
from oracle.summary import PROPERTY


@pytest.fixture
def oracle(request: pytest.FixtureRequest) -> Iterator[OracleFile]:
    """One oracle file, see ``oracle.plumbing``."""
    file = OracleFile(request.param)
    yield file
    request.node.user_properties.append((PROPERTY, (file.name, file.compared, file.worst)))
    failed = getattr(request.node, "oracle_test_failed", False)
    if not failed:
        assert not file.untouched(), f"{file.name}: never looked at {file.untouched()}"
        assert file.compared, f"{file.name}: nothing was compared"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if call.when == "call" and call.excinfo is not None:
        item.oracle_test_failed = True  # type: ignore[attr-defined]
    return report
