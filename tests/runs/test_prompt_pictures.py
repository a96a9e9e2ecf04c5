"""Pictures of the masks and boxes that a run starts from are made without segmenting anything."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from contract.coloured_video import SIZE, true_mask
from maskcast.io.label_maps import read_label_map, write_label_map
from maskcast.runs.exports import Exports
from maskcast.runs.prompt_pictures import LARGEST_TILE, MOST_TILES
from maskcast.runs.video_request import VideoRequest
from maskcast.runs.video_run import run_video
from runs.stand_in_video import Boxed, Built, Source, WholeBoxes, request_in

COUNT = 6


BOXED = Boxed(WholeBoxes(0.5))


@pytest.fixture
def request_(tmp_path) -> VideoRequest:
    return request_in(tmp_path, count=COUNT, only_prompts=True)


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_first_masks_are_shown_and_nothing_is_segmented(request_, tmp_path):
    source = Source()
    result = run_video(replace(request_, exports=Exports(overlay=True)), source)
    assert source.built == 0
    assert files_in(tmp_path / "out") == ["exports", "run.json"]
    exports = tmp_path / "out/exports"
    assert result.exports == [exports / "prompts-00000.png", exports / "prompts-sheet.png"]
    assert files_in(exports) == ["prompts-00000.png", "prompts-sheet.png"]
    assert (read_label_map(exports / "prompts-00000.png") == 1).tolist() == (
        true_mask(1, 0).tolist()
    )
    with Image.open(exports / "prompts-sheet.png") as sheet:
        assert sheet.width > LARGEST_TILE
    card = json.loads((tmp_path / "out/run.json").read_text())
    assert (card["frames"], card["status"]) == (0, "interrupted")


def test_the_same_request_goes_on_and_keeps_the_pictures(request_, tmp_path):
    run_video(request_, Built())
    result = run_video(replace(request_, only_prompts=False), Built())
    assert (result.card.status, result.card.frames) == ("finished", COUNT)
    assert "prompts-00000.png" in files_in(tmp_path / "out/exports")


def test_pictures_of_other_prompts_are_deleted(request_, tmp_path):
    run_video(request_, Built())
    write_label_map(tmp_path / "first.png", np.where(true_mask(2, 0).numpy(), 2, 0))
    result = run_video(replace(request_, only_prompts=False), Built())
    assert result.card.status == "finished"
    assert not (tmp_path / "out/exports").exists()


def test_the_mask_of_a_box_is_a_preview(request_, tmp_path):
    run_video(replace(request_, boxes=["2:2:3,1,4,6"]), BOXED)
    exports = tmp_path / "out/exports"
    assert files_in(exports) == ["prompts-00000.png", "prompts-00002.png", "prompts-sheet.png"]
    expected = np.zeros(SIZE, dtype=int)
    expected[1:7, 3:5] = 2
    assert read_label_map(exports / "prompts-00002.png").tolist() == expected.tolist()


def test_corrections_of_a_finished_run_are_shown_too(request_, tmp_path):
    whole = replace(request_, only_prompts=False)
    run_video(whole, Built())
    write_label_map(tmp_path / "00003.png", np.where(true_mask(1, 3).numpy(), 1, 0))
    corrected = replace(whole, masks=[*whole.masks, tmp_path / "00003.png"])
    run_video(replace(corrected, only_prompts=True), Built())
    names = ["prompts-00000.png", "prompts-00003.png", "prompts-sheet.png"]
    assert files_in(tmp_path / "out/exports") == names
    result = run_video(corrected, Built())
    assert (result.card.status, result.card.resumed_from) == ("finished", 1)


def test_a_sheet_shows_evenly_spaced_frames_of_many(request_, tmp_path):
    count = MOST_TILES + 20
    for frame_index in range(COUNT, count):
        path = tmp_path / "video" / f"{frame_index:05d}.png"
        path.write_bytes((tmp_path / "video/00000.png").read_bytes())
    boxes = [f"{frame_index}:2:3,1,4,6" for frame_index in range(count)]
    result = run_video(replace(request_, boxes=boxes), BOXED)
    assert len(result.exports) == count + 1
    with Image.open(result.exports[-1]) as sheet:
        tall = sheet.height
    run_video(replace(request_, boxes=boxes[:MOST_TILES], output=tmp_path / "few"), BOXED)
    with Image.open(tmp_path / "few/exports/prompts-sheet.png") as sheet:
        assert sheet.height == tall


def test_a_frame_may_be_named_like_the_sheet(request_, tmp_path):
    for path in sorted((tmp_path / "video").iterdir()):
        path.rename(path.with_name(f"{path.stem[-1]}.png"))
    (tmp_path / "video/0.png").rename(tmp_path / "video/sheet.png")
    for path in (tmp_path / "video").glob("[0-9].png"):
        path.unlink()
    result = run_video(request_, Built())
    names = ["prompts-sheet.png", "prompts-sheet-.png"]
    assert [path.name for path in result.exports] == names
