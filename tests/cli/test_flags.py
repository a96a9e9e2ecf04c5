"""From the parameters that an error names to the flags of the current command."""

from __future__ import annotations

from maskcast.cli.flags import Flags, flags_of
from maskcast.cli.main import COMMANDS, _flags_for
from maskcast.runs.export_settings import Exports

NO_EXPORTS = Exports()


def command(video: str, *, on_bad_frame: str = "", option: str = "", exports: Exports = NO_EXPORTS):
    """Take each kind of parameter."""


def test_flags_placeholders_and_groups():
    flags = flags_of(command)
    assert flags.in_parentheses(("video", "on_bad_frame")) == " (VIDEO, --on-bad-frame)"
    assert flags.in_parentheses(("contact_sheet",)) == " (--contact-sheet)"
    assert flags.in_parentheses(("crop.size",)) == " (--option crop.size)"
    assert flags.in_parentheses(("import_weights",)) == " (maskcast weights import)"
    assert flags.in_parentheses(("device",)) == ""
    assert flags.in_parentheses(("video", "device", "video")) == " (VIDEO)"


def test_settings_of_a_recipe_are_flags():
    assert Flags(takes_settings=True).in_parentheses(("loop.batch_size",)) == " (--loop.batch-size)"
    assert Flags().in_parentheses(("loop.batch_size",)) == ""


NESTED = ("weights", "batch")
"""Commands that consist of others."""


def test_every_command_says_how_its_parameters_are_written():
    shown = {name: _flags_for([name]).by_parameter for name in COMMANDS if name not in NESTED}
    assert shown.pop("doctor") == {}  # it has none
    assert shown["segment"]["video"] == "VIDEO"
    assert shown["segment"]["masks"] == "--masks"
    assert shown["segment"]["overlay"] == "--overlay"
    assert shown["train"]["start_from"] == "--start-from"
    assert _flags_for(["weights", "import"]).by_parameter["sha256"] == "--sha256"
    assert _flags_for(["batch", "run"]).by_parameter["jobs"] == "--jobs"
    assert all(_flags_for([name]).by_parameter == {} for name in NESTED)
    assert all(shown.values())
