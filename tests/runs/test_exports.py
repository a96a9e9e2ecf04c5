"""Everything made from finished masks holds what the masks hold."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from contract.coloured_video import SIZE, frames, true_mask
from maskcast.core.errors import ConfigError, DataError, OutputError, UsageError
from maskcast.core.progress import Progress
from maskcast.core.types import ObjectMasks
from maskcast.io.label_maps import write_label_map
from maskcast.io.rle import decode_mask
from maskcast.io.video.formats import FORMATS
from maskcast.io.video.source import FrameSource, open_frames
from maskcast.runs import exports
from maskcast.runs.export_settings import Exports
from maskcast.runs.exports import COLUMNS, export
from maskcast.runs.folder import RunFolder
from maskcast.runs.objects import ObjectLook, write_objects
from maskcast.runs.opening import open_run
from maskcast.runs.request import RunRequest
from maskcast.viz.overlay import draw_overlay

COUNT = 6
GONE = (2, 3)
"""Frames without object 2."""
EVERYTHING = Exports(
    overlay=True, cutout=("png", "prores", "vp9"), rle=True, tracks=True, contact_sheet=True
)


@pytest.fixture
def source(tmp_path) -> FrameSource:
    (tmp_path / "ride").mkdir()
    for frame_index, frame in enumerate(frames(COUNT)):
        pixels = (frame.permute(1, 2, 0) * 255).round().byte().numpy()
        Image.fromarray(pixels).save(tmp_path / "ride" / f"{frame_index:05d}.png")
    return open_frames(tmp_path / "ride")


@pytest.fixture
def run(tmp_path, source) -> RunFolder:
    request = RunRequest(
        method="none", weights="none", weights_sha256="", input="ride", input_sha256=""
    )
    folder = open_run(tmp_path / "run", request, frame_name=source.names.__getitem__)
    for frame_index in range(COUNT):
        probs = torch.zeros(2, *SIZE)
        probs[0, true_mask(1, frame_index)] = 0.75
        if frame_index not in GONE:
            probs[1, true_mask(2, frame_index)] = 1.0
        folder.write_frame(frame_index, ObjectMasks((1, 2), probs))
    folder.update(status="finished", frames=COUNT)
    return folder


def test_everything_is_made_in_one_pass(run, source):
    made = export(run, source, EVERYTHING)
    assert sorted(path.name for path in made) == sorted(
        [
            "overlay.mp4",
            "cutout",
            "cutout.mov",
            "cutout.webm",
            "masks.json",
            "tracks.csv",
            "contact_sheet.png",
        ]
    )
    assert all(path.exists() for path in made)
    assert [path.name for path in (run.path / "exports").glob(".*")] == [".made.json"]


def test_the_overlay_has_every_frame_with_the_objects_in_their_colours(run, source):
    (path,) = export(run, source, Exports(overlay=True, rate=12.5))
    video = open_frames(path)
    assert (video.count, video.size) == (COUNT, SIZE)
    assert float(video.timing.seconds(5)) == pytest.approx(0.4)
    plain, painted = source.picture(4).astype(int), video.picture(4).astype(int)
    inside = true_mask(1, 4).numpy()
    changed = np.abs(plain - painted).mean(axis=2)
    assert changed[inside].mean() > 20
    assert changed[20:, :].mean() < 10  # below the objects


@pytest.mark.parametrize("wanted", [Exports(overlay=True), Exports(contact_sheet=True)])
def test_absent_objects_are_listed_on_their_frames(wanted, run, source, monkeypatch):
    listed: list[tuple[int, ...]] = []

    def draw(*arguments, absent, **options):
        listed.append(tuple(absent))
        return draw_overlay(*arguments, **options)

    monkeypatch.setattr(exports, "draw_overlay", draw)
    export(run, source, wanted)
    assert listed == [(2,) if frame in GONE else () for frame in range(COUNT)]


def test_cut_outs_show_the_objects_only(run, source):
    (folder,) = export(run, source, Exports(cutout=("png",)))
    picture = np.asarray(Image.open(folder / "00003.png"))
    inside = true_mask(1, 3).numpy()
    assert (picture[..., 3] == np.where(inside, 255, 0)).all()
    assert (picture[inside][:, :3] == source.picture(3)[inside]).all()


def test_run_length_masks_are_the_masks(run, source):
    (path,) = export(run, source, Exports(rle=True))
    entries = json.loads(path.read_text())
    assert len(entries) == COUNT + COUNT - len(GONE)
    entry = next(e for e in entries if (e["frame"], e["object_id"]) == (4, 2))
    assert entry["video_id"] == "ride"
    assert entry["score"] == 1.0
    assert decode_mask(entry["segmentation"]).tolist() == true_mask(2, 4).tolist()


def test_a_video_named_by_a_dot_has_the_name_of_its_folder(run, source, monkeypatch):
    monkeypatch.chdir(source.path)
    (path,) = export(run, open_frames(Path()), Exports(rle=True))
    assert {entry["video_id"] for entry in json.loads(path.read_text())} == {"ride"}


def test_without_objects_the_list_is_empty(run, source):
    for frame_index in range(COUNT):
        run.write_frame(frame_index, ObjectMasks((), torch.zeros(0, *SIZE)))
    (path,) = export(run, source, Exports(rle=True))
    assert json.loads(path.read_text()) == []


def test_tracks_tell_when_an_object_is_lost_and_returns(run, source):
    (path,) = export(run, source, Exports(tracks=True))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert ",".join(rows[0]) == COLUMNS
    of_2 = [row for row in rows if row["object_id"] == "2"]
    assert [row["event"] for row in of_2] == ["first", "", "lost", "", "returned", ""]
    assert [row["area"] for row in of_2] == ["49", "49", "0", "0", "49", "49"]
    assert (of_2[2]["x"], of_2[2]["confidence"]) == ("", "")
    of_1 = next(row for row in rows if (row["object_id"], row["frame"]) == ("1", "3"))
    # frame 3: column 2 + 3, row 1, side 7
    assert [of_1[name] for name in ("x", "y", "width", "height")] == ["5", "1", "7", "7"]
    assert of_1["confidence"] == "0.75"
    assert {row["presence"] for row in rows} == {""}


def test_tracks_have_the_presence_that_a_method_gives(run, source):
    probs = torch.zeros(2, *SIZE)
    probs[0, true_mask(1, 3)] = 0.75
    run.write_frame(3, ObjectMasks((1, 2), probs, torch.tensor([0.875, 0.125])))
    (path,) = export(run, source, Exports(tracks=True))
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert list(rows[0])[-1] == "presence"
    shown = {(row["frame"], row["object_id"]): row["presence"] for row in rows}
    assert (shown["3", "1"], shown["3", "2"], shown["2", "1"]) == ("0.875", "0.125", "")


@pytest.fixture
def short_parts(monkeypatch):
    for kind, format_ in FORMATS.items():
        monkeypatch.setitem(FORMATS, kind, replace(format_, part_frames=2))


def interrupt_at(last: int) -> Progress:
    def interrupt(work: str, done: int, total: int | None) -> None:
        if done - 1 == last:
            raise KeyboardInterrupt

    return interrupt


def noted(frames: list[int]) -> Progress:
    def note(work: str, done: int, total: int | None) -> None:
        assert total == COUNT
        if work == "exports":
            frames.append(done - 1)

    return note


def files_in(folder: Path) -> dict[str, bytes]:
    """Read all files but WebM, of which each has a random number in its header, and name those of
    x264, which is not the same twice to the bit."""
    return {
        str(path.relative_to(folder)): b"" if path.suffix == ".mp4" else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".webm"
    }


def test_an_interrupted_pass_keeps_what_is_whole_and_ends_like_an_unbroken_one(
    run, source, short_parts
):
    with pytest.raises(KeyboardInterrupt, match="run again to continue with the exports"):
        export(run, source, EVERYTHING, progress=interrupt_at(2))
    folder = run.path / "exports"
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        ".made.json",
        "00000.png",
        "00000000.mov",
        "00000000.mp4",
        "00000000.webm",
        "00001.png",
        "00002.png",
    ]
    first = (folder / "cutout" / "00000.png").stat().st_ino
    export(run, source, EVERYTHING)
    assert (folder / "cutout" / "00000.png").stat().st_ino == first
    assert open_frames(folder / "overlay.mp4").count == COUNT
    resumed = files_in(folder)
    shutil.rmtree(folder)
    export(run, source, EVERYTHING)
    assert resumed == files_in(folder)


def test_a_pass_goes_on_at_the_first_frame_that_a_file_lacks(run, source, short_parts):
    wanted = Exports(overlay=True, cutout=("png",))
    with pytest.raises(KeyboardInterrupt):
        export(run, source, wanted, progress=interrupt_at(4))
    again: list[int] = []
    export(run, source, wanted, progress=noted(again))
    assert again == [4, 5]  # frames 0 to 3 are two parts


def test_parts_of_a_video_at_another_rate_are_not_taken(run, source, short_parts):
    with pytest.raises(KeyboardInterrupt):
        export(run, source, Exports(overlay=True, rate=12), progress=interrupt_at(4))
    again: list[int] = []
    export(run, source, Exports(overlay=True, rate=24), progress=noted(again))
    assert again == list(range(COUNT))
    resumed: list[int] = []
    export(run, source, Exports(overlay=True, rate=12), progress=noted(resumed))
    assert resumed == [4, 5]  # the stopped one still has its parts
    assert [path.name for path in (run.path / "exports").glob(".*")] == [".made.json"]


def test_what_is_there_is_not_made_again(run, source, monkeypatch):
    export(run, source, Exports(tracks=True))
    monkeypatch.setattr(FrameSource, "pictures", None)
    export(run, source, Exports(tracks=True))


def test_new_prompts_outdate_every_export(run, source, short_parts):
    export(run, source, Exports(tracks=True))
    with pytest.raises(KeyboardInterrupt):
        export(run, source, Exports(overlay=True), progress=interrupt_at(4))
    request = run.card.request
    more = RunRequest(
        method="none",
        weights="none",
        weights_sha256="",
        input="ride",
        input_sha256="",
        prompts={**request.prompts, "3:1": "mask abc"},
    )
    again = open_run(run.path, more, frame_name=source.names.__getitem__)
    assert not (run.path / "exports").exists()
    assert again.card.frames == 3
    assert sorted(path.name for path in run.path.glob("*.png")) == [
        "00000.png",
        "00001.png",
        "00002.png",
    ]


def test_another_rate_makes_another_video(run, source):
    wanted = {"overlay": True, "cutout": ("vp9",), "tracks": True}
    made = export(run, source, Exports(**wanted, rate=12))
    assert [path.name for path in made] == ["overlay-12fps.mp4", "cutout-12fps.webm", "tracks.csv"]
    before = [path.stat().st_mtime_ns for path in made]
    export(run, source, Exports(**wanted, rate=12))
    others = export(run, source, Exports(**wanted, rate=23.976))
    assert open_frames(others[0]).timing.rate == Fraction(24000, 1001)
    assert others[0] != made[0]
    assert others[2] == made[2]
    assert [path.stat().st_mtime_ns for path in made] == before


def test_an_export_records_its_settings(run, source):
    export(run, source, Exports(overlay=True, tracks=True, rate=12))
    record = json.loads((run.path / "exports" / ".made.json").read_text())
    assert record["overlay-12fps.mp4"]["settings"] == {"rate": 12}
    assert record["tracks.csv"]["settings"] == {}


@pytest.mark.parametrize("rate", [0.0, -1.0, 1e-4, float("nan"), 1e9])
def test_nonsense_rates_are_refused(rate):
    with pytest.raises(ConfigError, match=r"rate must be in .0.001, 1000., got"):
        Exports(rate=rate)


def test_exports_of_other_masks_or_without_a_record_are_made_again(run, source):
    tracks = run.path / "exports" / "tracks.csv"
    export(run, source, Exports(tracks=True))
    right = tracks.read_text()
    (run.path / "exports" / ".made.json").unlink()
    tracks.write_text("of unknown origin")
    export(run, source, Exports(tracks=True))
    assert tracks.read_text() == right
    run.adopt(replace(run.card.request, prompts={"0:1": "mask 0"}))
    tracks.write_text("of another request")
    export(run, source, Exports(tracks=True))
    assert tracks.read_text() == right


def test_an_outdated_export_that_cannot_be_removed_is_an_error(run, source, monkeypatch):
    export(run, source, Exports(tracks=True))
    run.adopt(replace(run.card.request, prompts={"0:1": "mask 0"}))

    def refused(path: Path, **options: bool) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(OutputError, match=r"cannot delete .*tracks.csv: Permission denied"):
        export(run, source, Exports(tracks=True))


def test_a_mask_of_another_size_is_named(run, source):
    write_label_map(run.path / "00003.png", np.ones((10, 10), np.int32))
    with pytest.raises(DataError, match=r"00003.png is 10×10 but the video is 32×24; delete it"):
        export(run, source, Exports(overlay=True))


def test_a_damaged_record_means_making_everything_again(run, source):
    export(run, source, Exports(tracks=True))
    for text in ("", "[]", "{", '{"tracks.csv": 5}'):
        (run.path / "exports" / ".made.json").write_text(text)
        again: list[int] = []
        export(run, source, Exports(tracks=True), progress=noted(again))
        assert len(again) == COUNT


def test_a_span_is_exported_with_the_numbers_of_the_whole_video(run, source):
    (path,) = export(run, source, Exports(rle=True), span=(1, 3))
    entries = json.loads(path.read_text())
    assert [(e["frame"], e["object_id"]) for e in entries] == [(1, 1), (1, 2), (2, 1)]
    assert decode_mask(entries[2]["segmentation"]).tolist() == true_mask(1, 2).tolist()


def test_a_video_of_a_span_shows_its_frames_alone(run, source):
    (path,) = export(run, source, Exports(cutout=("prores",)), span=(4, 6))
    video = open_frames(path)
    assert video.count == 2
    inside = true_mask(1, 4).numpy()
    error = np.abs(video.picture(0)[inside].astype(int) - source.picture(4)[inside])
    assert error.mean() < 12


def test_another_span_is_made_again(run, source):
    export(run, source, Exports(tracks=True), span=(0, 2))
    (path,) = export(run, source, Exports(tracks=True), span=(1, 2))
    assert len(path.read_text().splitlines()) == 1 + 2
    (path,) = export(run, source, Exports(tracks=True))
    assert len(path.read_text().splitlines()) == 1 + 2 * COUNT


def test_a_span_outside_the_video_is_rejected(run, source):
    with pytest.raises(UsageError, match="frames 2 to 9 do not exist"):
        export(run, source, Exports(tracks=True), span=(2, 9))


def test_labels_and_outlines_make_other_files(run, source):
    plain, outlined, bare = (
        export(run, source, Exports(contact_sheet=True, **settings))[0]
        for settings in ({}, {"outlines": True, "labels": "corner"}, {"labels": "off"})
    )
    assert [path.name for path in (outlined, bare)] == [
        "contact_sheet-corner-labels-outlines.png",
        "contact_sheet-no-labels.png",
    ]
    assert len({path.read_bytes() for path in (plain, outlined, bare)}) == 3


def test_objects_have_the_names_and_colours_that_a_person_gave(run, source):
    write_objects(run.path, {1: ObjectLook(name="dog", colour="#ff00ff")})
    (path,) = export(run, source, Exports(contact_sheet=True))
    coloured = path.read_bytes()
    sheet = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert (np.abs(sheet - (255, 0, 255)).sum(axis=2) < 30).any()
    write_objects(run.path, {1: ObjectLook(name="cat", colour="#ff00ff")})
    export(run, source, Exports(contact_sheet=True))
    assert path.read_bytes() != coloured
