"""Bars of work that goes on; nothing of finished work, and nothing where there is no terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from maskcast.cli import bars
from maskcast.cli.progress import TerminalProgress


@pytest.fixture
def shown(monkeypatch) -> io.StringIO:
    """What a terminal is sent."""
    sent = io.StringIO()
    terminal = Console(file=sent, force_terminal=True, width=100)
    monkeypatch.setattr(bars, "Console", lambda **_: terminal)
    return sent


def test_work_is_shown_until_it_is_done(shown):
    with bars.Bars() as progress:
        progress("fine-tuning on object 5", 2, 3)
        progress._bars.refresh()
        assert "fine-tuning on object 5" in shown.getvalue()
        assert "2/3" in shown.getvalue()
        progress("fine-tuning on object 5", 3, 3)
        shown.truncate(0)
        progress("frames", 1, None)
        progress._bars.refresh()
        assert "fine-tuning" not in shown.getvalue()
        assert "1/?" in shown.getvalue()


def test_where_there_is_no_terminal_nothing_is_shown(capfd):
    with TerminalProgress() as progress:
        progress("frames", 1, 3)
    assert capfd.readouterr() == ("", "")


def test_a_stream_may_be_drawn_on_as_if_it_were_a_terminal(shown, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with TerminalProgress() as progress:
        progress("frames", 1, 3)
    assert "1/3" in shown.getvalue()
