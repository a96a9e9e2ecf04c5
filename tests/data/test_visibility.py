"""Pixels are counted once and found again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from maskcast.core.errors import DataError
from maskcast.data.visibility import Absences, count_absences, count_videos, fingerprint_of


@dataclass
class Counted:
    """A video in memory that knows how often it was read."""

    label_maps: list[np.ndarray | None]
    name: str = "v"
    has_void: bool = True
    reads: int = 0

    @property
    def frame_names(self) -> tuple[str, ...]:
        return tuple(str(index) for index in range(len(self.label_maps)))

    def read_annotation(self, frame_index: int, /) -> np.ndarray | None:
        self.reads += 1
        return self.label_maps[frame_index]


def video() -> Counted:
    return Counted(
        [
            np.array([[0, 1, 1], [255, 7, 0]]),
            None,
            np.array([[7, 7, 7], [0, 0, 0]]),
            np.zeros((2, 3), dtype=np.int64),
        ]
    )


def as_lists(found):
    return [
        (list(one.frames), {each: row.tolist() for each, row in one.by_object.items()})
        for one in found
    ]


def test_every_object_is_counted_on_every_annotated_frame():
    assert as_lists(count_videos([video()])) == [([0, 2, 3], {1: [2, 0, 0], 7: [1, 3, 0]})]
    assert as_lists(count_videos([video()], merged=True)) == [([0, 2, 3], {1: [3, 3, 0]})]
    assert as_lists(count_videos([Counted([None, None])])) == [([], {})]
    without_void = video()
    without_void.has_void = False
    assert as_lists(count_videos([without_void]))[0][1][255] == [1, 0, 0]


def test_what_was_counted_is_kept(tmp_path):
    first = video()
    found = count_videos([first], keep_in=tmp_path / "kept")
    again = video()
    assert as_lists(count_videos([again], keep_in=tmp_path / "kept")) == as_lists(found)
    assert (first.reads, again.reads) == (4, 0)
    (kept,) = (tmp_path / "kept").iterdir()
    whole = kept.read_text()
    for damaged in (whole[:-1], "[1]", '[{"frames": 1}]'):
        kept.write_text(damaged)
        assert as_lists(count_videos([video()], keep_in=tmp_path / "kept")) == as_lists(found)
        assert kept.read_text() == whole
    # counted in another way, or with another frame, it is another result
    merged = video()
    count_videos([merged], merged=True, keep_in=tmp_path / "kept")
    longer = Counted([*video().label_maps, None])
    count_videos([longer], keep_in=tmp_path / "kept")
    assert (merged.reads, longer.reads) == (4, 5)
    assert len(list((tmp_path / "kept").iterdir())) == 3


def test_a_broken_annotation_is_left_out_until_it_is_mended(tmp_path, caplog):
    class Torn(Counted):
        def read_annotation(self, frame_index, /):
            if frame_index == 2:
                raise DataError("2.png is torn")
            return super().read_annotation(frame_index)

    found = count_videos([Torn(video().label_maps)], keep_in=tmp_path / "kept")
    assert as_lists(found) == [([0, 3], {1: [2, 0], 7: [1, 0]})]
    assert "2.png is torn" in caplog.text
    mended = count_videos([video()], keep_in=tmp_path / "kept")
    assert as_lists(mended)[0][0] == [0, 2, 3]


def test_a_fingerprint_changes_with_every_name():
    names = {
        fingerprint_of([video()]),
        fingerprint_of([video()], merged=True),
        fingerprint_of([Counted(video().label_maps, name="w")]),
        fingerprint_of([Counted(video().label_maps[:3])]),
        fingerprint_of([video(), video()]),
    }
    assert len(names) == 5


@pytest.mark.parametrize(
    ("pixels", "absences"),
    [
        ([9, 9, 9], (0, 0)),
        ([0, 0, 9, 9], (0, 0)),  # it comes later
        ([9, 0, 0, 9, 0], (3, 1)),
        ([9, 0, 9, 0, 9], (2, 2)),
        ([9, 2, 0, 2, 0, 2, 9], (2, 1)),  # a few pixels are no return
        ([9, 2, 9], (0, 0)),  # and no absence
        ([2, 0, 9, 0], (1, 0)),  # nor a first appearance
        ([0, 0], (0, 0)),
    ],
)
def test_absences_are_counted_after_the_first_appearance(pixels, absences):
    found = count_absences(np.array(pixels), visible_from=3)
    assert found == Absences(*absences)
