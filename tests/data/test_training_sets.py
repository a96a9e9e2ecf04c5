"""Data sets opened for training: split by name, summed up in a fingerprint, decoded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from fixtures.imitations import imitate_davis2017, imitate_youtube_vos, write_frame, write_labels
from maskcast.core.errors import ConfigError, DatasetError
from maskcast.data.dataset import Dataset
from maskcast.data.decoded import DecodedVideo
from maskcast.data.training_sets import TrainingSets, split_youtube_vos


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for name, frames in (("bear", 2), ("hike", 1)):
        for index in range(frames):
            frame = np.full((8, 8, 3), 40 * index, np.uint8)
            write_frame(tmp_path / "clips" / name / f"frames/{index}.png", frame)
            write_labels(
                tmp_path / "clips" / name / f"masks/{index}.png", np.eye(8, dtype=np.uint8)
            )
    return tmp_path / "clips"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_videos_are_split_by_name(clips: Path) -> None:
    sets = TrainingSets(held_out=("hike",))
    videos = sets.videos("videos", [clips])
    assert [video.name for video in videos.training] == ["bear"]
    assert [video.name for video in videos.held_out] == ["hike"]
    sets.check_hold_outs()


def test_a_name_that_is_in_no_data_set_cannot_be_held_out(clips: Path, tmp_path: Path) -> None:
    sets = TrainingSets(held_out=("hike", "nowhere", "elsewhere"))
    sets.videos("videos", [clips])
    sets.davis(imitate_davis2017(tmp_path / "davis", videos=1, frames=1))
    with pytest.raises(ConfigError, match="do not exist: elsewhere, nowhere"):
        sets.check_hold_outs()


def test_a_hold_out_is_drawn_where_none_of_the_names_exist(clips: Path, caplog) -> None:
    caplog.set_level("INFO")
    sets = TrainingSets(held_out=("of-another-set",), draws_instead=True)
    videos = sets.videos("videos", [clips])
    (drawn,) = [video.name for video in videos.held_out]
    assert {drawn, *(video.name for video in videos.training)} == {"bear", "hike"}
    assert f"held out of videos for validation: {drawn}" in caplog.text
    sets.check_hold_outs()
    named = TrainingSets(held_out=("hike",), draws_instead=True).videos("videos", [clips])
    assert [video.name for video in named.held_out] == ["hike"]


def test_the_fingerprint_changes_with_names_and_lengths_as_it_always_has(clips: Path) -> None:
    # run cards hold it: another way to compute it would call unchanged data changed
    sets = TrainingSets(held_out=("bear",))
    assert sets.fingerprint == digest("")
    sets.videos("videos", [clips])
    sets.note_files("cutouts", [Path("a/cat.png")])
    assert sets.fingerprint == digest("videos/bear/2;videos/hike/1;cutouts/cat.png;")


def test_pictures_are_decoded_into_a_folder_that_is_only_made_if_there_are_any(
    clips: Path, tmp_path: Path
) -> None:
    decoded = tmp_path / "decoded"
    sets = TrainingSets(decoded=decoded)
    assert sets.photographs("scenes", []) == []
    assert not decoded.exists()
    (bear, _) = sets.videos("videos", [clips]).training
    assert isinstance(bear, DecodedVideo)
    assert int(bear.read_frame(1)[0, 0, 0]) == 40


def test_youtube_vos_is_split_by_a_list_or_a_draw(tmp_path: Path) -> None:
    root = imitate_youtube_vos(tmp_path / "youtube-vos", videos=3, frames=2)

    def last(dataset: Dataset) -> list[str]:
        return [dataset.videos[-1].name]

    kept, apart = split_youtube_vos(root, year=2019, listed=None, draw=last)
    assert [len(kept), [video.name for video in apart]] == [2, [f"{2:010x}"]]
    listed = tmp_path / "names.txt"
    listed.write_text(f"{0:010x}\n")
    kept, apart = split_youtube_vos(root, year=2019, listed=listed, draw=last)
    assert [video.name for video in apart] == [f"{0:010x}"]
    listed.write_text("unknown\n")
    with pytest.raises(DatasetError, match="no video unknown"):
        split_youtube_vos(root, year=2019, listed=listed, draw=last)
