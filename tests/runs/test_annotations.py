"""Annotations are exports: named, recorded, and made again when masks or names change."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from contract.coloured_video import true_mask
from maskcast.io.label_maps import write_label_map
from maskcast.runs.annotations import ANNOTATION_FORMATS
from maskcast.runs.export_settings import AnnotationForm
from maskcast.runs.exports import Exports
from maskcast.runs.video_request import VideoRequest
from maskcast.runs.video_run import run_video
from runs.stand_in_video import Built, request_in

COUNT = 4
FORMS = get_args(AnnotationForm)


@pytest.fixture
def request_(tmp_path) -> VideoRequest:
    wanted = Exports(annotations=("coco-video",))
    return request_in(
        tmp_path, count=COUNT, ids=(1, 2), first=10, names=["1=square"], exports=wanted
    )


def categories(path) -> list[str]:
    return [one["name"] for one in json.loads(path.read_text())["categories"]]


def test_every_format_is_made_under_its_name(request_, tmp_path):
    made = run_video(replace(request_, exports=Exports(annotations=FORMS)), Built()).exports
    assert [path.name for path in made] == [ANNOTATION_FORMATS[form].name for form in FORMS]
    assert set(ANNOTATION_FORMATS) == set(FORMS)
    assert all(path.exists() for path in made)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/exports").rglob("*.*")}
    run_video(replace(request_, exports=Exports(annotations=FORMS)), Built())
    again = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/exports").rglob("*.*")}
    assert again == stamps, "complete files are kept"


def test_pictures_have_the_names_of_their_files(request_, tmp_path):
    run_video(request_, Built())
    tree = json.loads((tmp_path / "out/exports/coco-video.json").read_text())
    assert [one["file_name"] for one in tree["images"]] == [f"{i:05d}.png" for i in range(10, 14)]
    assert [one["frame_id"] for one in tree["images"]] == [0, 1, 2, 3]
    assert len(tree["annotations"]) == 2 * COUNT


def test_names_are_categories(request_, tmp_path):
    path = tmp_path / "out/exports/coco-video.json"
    run_video(request_, Built())
    assert categories(path) == ["square", "object"]
    run_video(replace(request_, names=["2=disc"]), Built())
    assert categories(path) == ["square", "disc"]


def test_an_unfinished_folder_is_made_again(request_, tmp_path):
    yolo = replace(request_, exports=Exports(annotations=("yolo",)))
    run_video(yolo, Built())
    folder = tmp_path / "out/exports/yolo"
    (folder / "data.yaml").unlink()
    (folder / "labels/00011.txt").unlink()
    run_video(yolo, Built())
    assert (folder / "labels/00011.txt").is_file() and (folder / "data.yaml").is_file()


def test_frames_of_a_part_have_their_numbers_in_the_whole_video(request_, tmp_path):
    write_label_map(tmp_path / "00011.png", np.where(true_mask(1, 1).numpy(), 1, 0))
    later = replace(request_, masks=[tmp_path / "00011.png"], start="1")
    run_video(later, Built())
    tree = json.loads((tmp_path / "out/exports/coco-video.json").read_text())
    assert [one["frame_id"] for one in tree["images"]] == [1, 2, 3]
