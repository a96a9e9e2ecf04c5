"""One call segments a video into a folder; batches give it a segmenter that they have built."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contract.coloured_video import true_mask
from maskcast.core.errors import MissingFileError, UsageError
from maskcast.core.segmenter import BuiltSegmenter, SegmenterSource
from maskcast.io.label_maps import write_label_map
from maskcast.runs.card import read_card
from maskcast.runs.exports import Exports
from maskcast.runs.occupied import occupied
from maskcast.runs.video_request import VideoRequest
from maskcast.runs.video_run import run_video
from runs.stand_in_video import Built, Source, request_in

COUNT = 6


@pytest.fixture
def request_(tmp_path) -> VideoRequest:
    return request_in(tmp_path, count=COUNT)


def changed(request: VideoRequest, **changes: object) -> VideoRequest:
    return VideoRequest(**{**vars(request), **changes})


def test_a_built_segmenter_and_a_source_do_the_same(request_, tmp_path):
    assert isinstance(Built(), BuiltSegmenter)
    assert isinstance(Source(), SegmenterSource)
    report: list[str] = []
    told: list[tuple[object, ...]] = []
    result = run_video(
        request_, Built(), progress=lambda *now: told.append(now), report=report.append
    )
    assert (result.card.status, result.card.frames) == ("finished", COUNT)
    assert result.card.request.settings == {
        **{"start": None, "end": None, "direction": "forward", "dtype": "float32"},
        **{"on_bad_frame": "stop", "deterministic": False},
    }
    assert told[-1] == ("frames", COUNT, COUNT)
    assert len(report) == 1
    assert result.room == occupied(tmp_path / "out")
    other = changed(request_, output=tmp_path / "other")
    run_video(other, Source())
    for path in sorted((tmp_path / "out").glob("*.png")):
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


def test_nothing_is_built_for_what_is_finished(request_, tmp_path):
    source = Source()
    run_video(request_, source)
    assert source.built == 1
    result = run_video(changed(request_, exports=Exports(tracks=True)), source)
    assert source.built == 1
    assert result.exports == [tmp_path / "out" / "exports" / "tracks.csv"]
    assert result.room.exports > 0


def test_exports_that_are_removed_with_earlier_masks_are_named(request_, tmp_path):
    wanted = Exports(tracks=True, rle=True)
    run_video(changed(request_, exports=wanted), Built())
    report: list[str] = []
    run_video(changed(request_, exports=Exports(tracks=True)), Built(), report=report.append)
    assert not [line for line in report if line.startswith("removed ")]  # the masks are the same
    write_label_map(tmp_path / "00003.png", np.where(true_mask(1, 2).numpy(), 1, 0))
    corrected = changed(request_, masks=[*request_.masks, tmp_path / "00003.png"])
    run_video(corrected, Built(), report=report.append)
    (line,) = [line for line in report if line.startswith("removed ")]
    assert line.startswith("removed 2 exports of earlier masks (masks.json, tracks.csv)")
    assert not (tmp_path / "out" / "exports" / "masks.json").exists()


def test_nothing_is_built_or_written_for_what_cannot_be_read(request_, tmp_path):
    source = Source()
    with pytest.raises(MissingFileError):
        run_video(changed(request_, masks=[tmp_path / "none.png"]), source)
    with pytest.raises(UsageError, match="would be overwritten"):
        run_video(changed(request_, output=tmp_path / "video"), source)
    assert source.built == 0
    assert not (tmp_path / "out").exists()


def test_the_box_start_is_recorded_only_with_boxes(request_):
    assert run_video(request_, Built()).card.request.box_start is None
    boxes = changed(request_, boxes=["3:2:1,1,5,5"], output=request_.output / "boxes")
    assert Built().identity(uses_boxes=True).box_start == "boxes"
    with pytest.raises(AssertionError):  # the stand-in itself takes none
        run_video(boxes, Built())
    card = (request_.output / "boxes" / "run.json").read_text()
    assert '"box_start": "boxes"' in card


def test_run_lengths_take_less_room(request_, tmp_path):
    png = run_video(request_, Built())
    rle = run_video(changed(request_, output=tmp_path / "rle", form="rle"), Built())
    assert not list((tmp_path / "rle").glob("*.png"))
    assert 0 < rle.room.masks < png.room.masks


def test_room_is_counted_by_kind(request_, tmp_path):
    run_video(changed(request_, probabilities=True), Built())
    out = tmp_path / "out"
    sizes = {path: path.stat().st_size for path in out.rglob("*") if path.is_file()}
    room = occupied(out)
    assert room.masks == sum(path.stat().st_size for path in out.glob("*.png"))
    assert room.soft_masks == sum(n for path, n in sizes.items() if "probs" in path.parts)
    assert room.states == sum(n for path, n in sizes.items() if ".states" in path.parts)
    assert (room.aside, room.exports) == (0, 0)
    assert room.total == room.masks + room.soft_masks + room.states
    assert occupied(Path("none")).total == 0


def test_an_edit_that_is_undone_leaves_the_finished_form(request_, tmp_path):
    packed = changed(request_, form="rle", edited=True)
    run_video(packed, Built())
    before = (tmp_path / "out" / "masks.jsonl.gz").read_bytes()
    write_label_map(tmp_path / "00003.png", np.where(true_mask(1, 2).numpy(), 1, 0))
    run_video(changed(packed, masks=[*packed.masks, tmp_path / "00003.png"]), Built())
    assert (tmp_path / "out" / "masks.jsonl.gz").read_bytes() != before
    source = Source()
    run_video(packed, source)
    assert source.built == 0
    assert not (tmp_path / "out" / "masks.jsonl").exists()
    assert (tmp_path / "out" / "masks.jsonl.gz").read_bytes() == before


def test_a_mask_in_the_folder_of_frames_is_not_a_frame(request_):
    mask = request_.masks[0].rename(request_.video / "zz_mask.png")
    lines: list[str] = []
    result = run_video(replace(request_, masks=[mask]), Source(), report=lines.append)
    assert result.card.frames == COUNT
    assert lines[0] == f"{mask} is a mask, not a frame"
    assert "for frame 00000" in lines[1]
    with pytest.raises(UsageError, match="as the folder of frames and of masks"):
        run_video(replace(request_, masks=[request_.video]), Source())


def test_the_card_keeps_the_names_of_the_prompt_files(request_, tmp_path):
    card = run_video(request_, Built()).card
    assert card.prompt_files == tuple(map(str, request_.masks))
    (tmp_path / "fixed").mkdir()
    shutil.copy(request_.output / "00003.png", tmp_path / "fixed" / "00003.png")
    corrected = replace(request_, corrected=[tmp_path / "fixed" / "00003.png"])
    run_video(corrected, Built())
    again = read_card(request_.output)
    assert again is not None and again.prompt_files == (
        str(tmp_path / "first.png"),
        str(tmp_path / "fixed" / "00003.png"),
    )


def test_soft_edges_compute_a_run_without_probabilities_again_and_say_so(request_):
    run_video(request_, Built())
    soft = Exports(cutout=("png",), edges="soft")
    report: list[str] = []
    result = run_video(changed(request_, exports=soft), Built(), report=report.append)
    assert [path.name for path in result.exports] == ["cutout-soft"]
    assert "all frames are computed again" in report[-1]
    assert len(list((request_.output / "probs" / "1").iterdir())) == COUNT
    report.clear()
    source = Source()
    refined = Exports(cutout=("png",), edges="refined")
    run_video(changed(request_, exports=refined), source, report=report.append)
    assert source.built == 0  # a run keeps the probabilities that it has
    assert not any("again" in line for line in report)
