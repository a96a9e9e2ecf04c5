"""Commands in the documents have the flags they are shown with; the Python examples run."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fixtures.imitations import write_frame, write_labels
from fixtures.video_files import VideoRecipe, write_pictures
from maskcast.cli.main import COMMANDS, main
from maskcast.data.synthetic.clips import make_clip
from maskcast.io.label_maps import write_label_map
from maskcast.runs.card import RunCard, write_card
from maskcast.runs.frame_log import FrameLog, LogEntry
from maskcast.runs.masks import FoundObject
from maskcast.runs.request import RunRequest

ROOT = Path(__file__).parent.parent
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every line of a code block of the documents that calls maskcast, by its arguments."""
    lines = [
        line
        for document in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
        for language, block in FENCED.findall(document.read_text())
        if language != "python"
        for line in re.sub(r"\\\n\s*", " ", block).splitlines()
    ]
    calls = [
        re.match(r"(?:\$ |srun )?maskcast (.*?)(?: {2,}\S.*|\s# .*)?$", line) for line in lines
    ]
    return sorted({call[1] for call in calls if call})


def python_blocks(document: str) -> list[str]:
    """The Python examples of a document, in their order."""
    text = (ROOT / "docs" / document).read_text()
    return [block for language, block in FENCED.findall(text) if language == "python"]


def anchors(document: Path) -> set[str]:
    """What the headings of a page are called in links to them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/maskcast/**/*.md")]
    assert len(pages) > 15
    for page in pages:
        for target in re.findall(r"\]\((?!http)([^)\s]+)\)", page.read_text()):
            file, _, anchor = target.partition("#")
            found = page.parent / file if file else page
            assert found.exists(), f"{page} links to {target}"
            assert not anchor or anchor in anchors(found), f"{page} links to {target}"


@cache
def help_of(*command: str) -> str:
    text = io.StringIO()
    with redirect_stdout(text), redirect_stderr(text):
        try:
            main([*command, "--help"])
        except SystemExit as end:
            assert end.code == 0, text.getvalue()
    return text.getvalue()


@pytest.mark.parametrize("command", commands())
def test_commands_of_the_documents_have_these_flags(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    name, *arguments = shlex.split(command)
    assert name in COMMANDS
    own = [name]
    if name in ("weights", "batch"):
        own.append(arguments[0])
    if name == "train":
        own.append(arguments[0] if arguments[0][0] not in "-R" else "lwl-small")
    for flag in (argument for argument in arguments if argument.startswith("-")):
        listed = re.findall(r"(?<![\w-])--?[\w.-]+", help_of(*own))
        assert flag in listed or (name, flag) == ("train", "--list"), flag


def test_the_python_examples_for_programs(tmp_path, monkeypatch, capsys):
    clip = make_clip(5, frames=8, size=(120, 208), objects=(1, 1))
    write_pictures(tmp_path / "video.mp4", list(clip.frames), VideoRecipe(size=(120, 208)))
    write_label_map(tmp_path / "mask.png", clip.label_maps[0].astype(np.int32))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = python_blocks("python.md")
    one, look, camera, steps, correction, turns, states, runs, tables, errors = blocks
    small = {'"auto"': '"cpu"', '"update_steps": 3': '"crop.size": (96, 160)'}
    for given, instead in small.items():
        one = one.replace(given, instead)
    exec(one, names)
    assert len(list(tmp_path.glob("0000*.png"))) == 8
    exec(look, names)
    assert (tmp_path / "last.png").stat().st_size > 1000
    assert capsys.readouterr().out.endswith("pixels, (120, 208, 3)\n")
    exec(camera, names)
    assert capsys.readouterr().out.split("\n")[1:3] == ["(1,)", "(1, 7)"]
    exec(steps, names)
    exec(correction, names)
    assert names["masks"].ids == (1, 7)
    assert names["masks"].label_map().eq(1).equal(names["mask"])
    assert [target.object_id for target in names["state"].targets] == [1]
    exec(turns, names)
    exec(states, names)
    assert names["step"].frame_index == 7
    exec(runs, names)
    made = "finished ['overlay.mp4', 'tracks.csv', 'contact_sheet.png']"
    assert made in capsys.readouterr().out
    exec(tables, names)
    assert (tmp_path / "tracks.csv").read_text().count("\n") == 9
    exec(errors, names)
    assert "100×208 but the frame is 120×208" in capsys.readouterr().out


def test_the_example_of_detections(tmp_path, monkeypatch, capsys):
    pytest.importorskip("supervision")
    clip = make_clip(5, frames=2, size=(96, 160), objects=(1, 1))
    write_pictures(tmp_path / "video.mp4", list(clip.frames), VideoRecipe(size=(96, 160)))
    write_label_map(tmp_path / "mask.png", clip.label_maps[0].astype(np.int32))
    monkeypatch.chdir(tmp_path)
    (example,) = python_blocks("annotations.md")
    exec(example, {})
    assert capsys.readouterr().out.startswith("[1] [[")


@pytest.mark.slow
def test_the_python_examples_for_programs_have_the_types_that_are_wanted(tmp_path):
    (tmp_path / "program.py").write_text("\n".join(python_blocks("python.md")))
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """What the examples call videos, pictures, my-pictures and my-backgrounds."""
    monkeypatch.chdir(tmp_path)
    clip = make_clip(2, frames=12, size=(96, 160), objects=(1, 1))
    for index, (frame, label_map) in enumerate(zip(clip.frames, clip.label_maps, strict=True)):
        write_frame(tmp_path / f"videos/one/frames/{index:03d}.jpg", frame)
        write_labels(tmp_path / f"videos/one/masks/{index:03d}.png", label_map)
    for folder in ("pictures", "my-pictures"):
        write_frame(tmp_path / folder / "images/a.jpg", clip.frames[0])
        write_labels(tmp_path / folder / "masks/a.png", clip.label_maps[0])
    write_frame(tmp_path / "my-backgrounds/b.jpg", clip.frames[5])


@pytest.mark.parametrize("number", [0, 1])
def test_examples_of_synthetic_clips(folders, number):
    names: dict[str, object] = {}
    exec(python_blocks("synthetic-clips.md")[number], names)
    clip = names["clip"]
    assert clip.frames.dtype == np.uint8 and clip.frames.shape[1:] == (240, 416, 3)
    assert set(np.unique(clip.label_maps[0])) == {0, *clip.ids}


@pytest.mark.slow
def test_the_picture_is_drawn(folders, tmp_path):
    exec(python_blocks("synthetic-clips.md")[2], {})
    assert (tmp_path / "docs/images/synthetic-clips.jpg").stat().st_size > 50_000


def test_the_example_of_a_mixture(folders):
    names: dict[str, object] = {}
    exec(python_blocks("data.md")[1], names)
    sample = names["data"][0]
    assert sample.images.shape == (4, 3, 240, 416)
    assert sample.masks.shape == (4, 240, 416) and sample.boxes.shape == (4, 4)


def test_the_example_of_frames_to_look_at(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    request = RunRequest(
        method="none",
        weights="",
        weights_sha256="",
        input="v",
        input_sha256="",
        prompts={"0:1": ""},
    )
    write_card(tmp_path / "found", RunCard(maskcast="0", torch="0", request=request))
    log = FrameLog(tmp_path / "found" / "frames.jsonl")
    for frame, area in enumerate((100, 100, 0, 0)):
        found = {1: FoundObject(area, 0.9 if area else None)}
        log.append(LogEntry(frame=frame, mask=f"{frame:05d}.png", objects=found))
    (example,) = python_blocks("runs.md")
    exec(example, {})
    assert capsys.readouterr().out == "2 2 1 lost\n"
