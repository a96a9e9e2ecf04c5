"""A few lines say where objects are absent or unsure, those with most such frames first."""

from __future__ import annotations

import subprocess
import sys

from maskcast.runs.masks import FoundByFrame, FoundObject
from maskcast.runs.object_report import (
    ObjectReport,
    Stretch,
    describe_cuts,
    describe_late_starts,
    describe_objects,
    report_objects,
)


def log_of(**objects: dict[int, FoundObject]) -> FoundByFrame:
    """Return a log of 200 frames; each object is steady except on the given frames."""
    steady = FoundObject(100, 0.95)
    return {
        frame: {int(name[1:]): odd.get(frame, steady) for name, odd in objects.items()}
        for frame in range(200)
    }


def gone(*frames: int) -> dict[int, FoundObject]:
    return dict.fromkeys(frames, FoundObject(0, None))


def unsure(*frames: int) -> dict[int, FoundObject]:
    return dict.fromkeys(frames, FoundObject(100, 0.5))


def lines(found: FoundByFrame, **options) -> list[str]:
    return describe_objects(report_objects(found, **options), str)


def test_one_line_names_absent_and_unsure_frames():
    odd = gone(*range(74, 104)) | unsure(112, 114, 118)
    assert lines(log_of(_2=odd, _1={})) == ["object 2: absent on 74-103; unsure on 112-118"]


def test_a_steady_run_says_nothing():
    assert lines(log_of(_1={}, _2={})) == []
    assert lines({}) == []


def test_jumps_are_named_unless_the_object_leaves_or_returns_there():
    odd = gone(*range(20, 30)) | {19: FoundObject(40, 0.9), 50: FoundObject(300, 0.9)}
    assert lines(log_of(_1=odd)) == ["object 1: absent on 20-29; area jumps on 50"]


def test_absences_that_a_person_marked_are_not_repeated():
    found = log_of(_1=gone(*range(20, 30), *range(60, 64)))
    marked = {(frame, 1) for frame in range(20, 30)}
    assert lines(found, prompted=marked) == ["object 1: absent on 60-63"]
    assert lines(found, prompted=marked - {(29, 1)})[0].startswith("object 1: absent on 20-29, 60")


def test_the_longest_stretches_are_named_and_the_others_counted():
    odd = gone(10, *range(30, 33), 50, *range(70, 72), *range(90, 99), 150)
    assert lines(log_of(_7=odd)) == ["object 7: absent on 30-32, 70-71, 90-98 and 3 more"]


def test_objects_with_most_frames_come_first_and_the_others_are_counted():
    found = log_of(**{f"_{i}": gone(*range(50, 50 + i)) for i in range(1, 9)})
    said = lines(found)
    assert [line.split(":")[0] for line in said[:5]] == [f"object {i}" for i in (8, 7, 6, 5, 4)]
    assert said[5:] == ["3 more objects with such frames"]
    one = describe_objects(report_objects(log_of(_1=gone(5), _2=gone(6))), str, most=1)
    assert one[1:] == ["1 more object with such frames"]


def test_shot_cuts_have_one_line():
    assert describe_cuts([], str) == []
    assert describe_cuts([9], str) == ["all objects: unsure on 9, after a shot cut"]
    (line,) = describe_cuts(range(10, 20), str)
    assert line == "all objects: unsure on 10, 11, 12, 13, 14 and 5 more, after a shot cut"


def test_names_follow_the_ids():
    reports = report_objects(log_of(_1=gone(5), _2=gone(6, 7)))
    said = describe_objects(reports, str, names={2: "left post"})
    assert said == ["object 2 (left post): absent on 6-7", "object 1: absent on 5"]


def test_objects_that_start_late_share_one_line():
    assert describe_late_starts({1: 0, 2: 0}, str) == []
    assert describe_late_starts({1: 0, 3: 7, 2: 9}, lambda index: f"0{index}") == [
        "masks stay empty before the first mask or box of an object (object 3 before frame 07, "
        "object 2 before frame 09); to fill them, set direction to both"
    ]
    (line,) = describe_late_starts({object_id: object_id for object_id in range(1, 9)}, str)
    assert "object 5 before frame 5, 3 more on later frames)" in line


def test_frames_are_called_as_the_video_calls_them():
    report = ObjectReport(object_id=3, absent=(Stretch(1, 4),), unsure=(Stretch(9, 9),))
    line = report.line(lambda index: f"cam-{index}")
    assert line == "object 3: absent on cam-1-cam-4; unsure on cam-9"


def test_no_torch_is_imported():
    program = "import sys, maskcast.runs.object_report; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
