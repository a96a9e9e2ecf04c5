"""Text that reaches a terminal."""

from __future__ import annotations

import pytest

from maskcast.cli.terminal import one_line, say, show


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("夜の 花火 № 5 ü×", "夜の 花火 № 5 ü×"),
        ("wide\u3000space", "wide\u3000space"),
        ("a\nb\r\nc", "a b c"),
        ("a\x1b[2Jb\x07", r"a\x1b[2Jb\x07"),
        ("\u202egnp.exe", r"\u202egnp.exe"),  # would turn the direction of what follows
        ("\ud800", r"\ud800"),
    ],
)
def test_what_could_drive_a_terminal_is_escaped(text, expected, capsys):
    assert one_line(text) == expected
    show(text.replace("\ud800", ""))
    assert "\x1b" not in capsys.readouterr().out


def test_details_are_lines_of_their_own(capsys):
    say("two problems", ["one\x1b", "two"])
    say("no problem")
    assert capsys.readouterr().err.splitlines() == [
        "maskcast: two problems:",
        r"  - one\x1b",
        "  - two",
        "maskcast: no problem",
    ]
