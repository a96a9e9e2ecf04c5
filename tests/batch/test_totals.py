"""Figures from events, the report, the metrics and the files that summarise a batch."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from maskcast.batch.figures import figures_as_json, in_hours, named_figures
from maskcast.batch.journal import Journal, read_journal
from maskcast.batch.metrics import write_metrics
from maskcast.batch.report import failure_groups, render_report
from maskcast.batch.summaries import write_summaries
from maskcast.batch.totals import BatchTotals, read_totals
from maskcast.core.errors import MissingFileError

HOSTILE = "<script>alert(1)</script>"


def finished(job_id: str, worker: int = 1, **entries: Any) -> dict[str, Any]:
    figures = {"frames": 100, "objects": 2, "video_seconds": 4.0, "steps": 100, "total": 9.0}
    figures |= {"decode": 1.0, "model": 7.0, "write": 0.5, "commit": 0.1}
    figures |= {"lowest_confidence": 0.8, "empty_frames": 0}
    return {"event": "finished", "id": job_id, "worker": worker, **figures, **entries}


def quarantined(job_id: str, **entries: Any) -> dict[str, Any]:
    usual = {"worker": 1, "kind": "data", "sentence": f"{job_id} is broken", "attempts": 0}
    usual |= {"log": [], "row": {"id": job_id, "video": f"{job_id}.mp4"}, "request": "r"}
    return {"event": "quarantined", "id": job_id, "input": None, **usual, **entries}


def story() -> list[dict[str, Any]]:
    """One call with two workers: two videos finish, one fails twice and for good."""
    events: list[tuple[float, dict[str, Any]]] = [
        (0, {"event": "run", "shard": [0, 1], "rows": 5, "price": 3.6}),
        (0, {"event": "starting", "worker": 1}),
        (0, {"event": "starting", "worker": 2}),
        (10, {"event": "worker", "worker": 1, "machine": "m", "device": "cpu", "process": 9}),
        (10, {"event": "worker", "worker": 2, "machine": "m", "device": "cpu", "process": 8}),
        (10, {"event": "began", "id": "a", "worker": 1, "attempt": 1}),
        (10, {"event": "began", "id": "b", "worker": 2, "attempt": 1}),
        (12, {"event": "beat", "id": "a", "worker": 1, "work": "frames", "done": 10, "total": 100}),
        (14, {"event": "beat", "id": "a", "worker": 1, "work": "frames", "done": 30, "total": 100}),
        (20, finished("a", 1)),
        (20, {"event": "lost", "id": "b", "worker": 2, "note": "exit code -9"}),
        (
            20,
            {
                **{"event": "failed", "id": "b", "worker": 2, "kind": "crash", "sentence": "died"},
                **{"attempts": 1, "request": "r"},
            },
        ),
        (20, {"event": "began", "id": "b", "worker": 1, "attempt": 2}),
        (30, finished("b", 1, lowest_confidence=0.3, empty_frames=7, total=20.0)),
        (30, {"event": "began", "id": "c", "worker": 1, "attempt": 1}),
        (
            31,
            {
                **{"event": "failed", "id": "c", "worker": 1, "kind": "data", "attempts": 0},
                **{"sentence": "c is broken", "request": "r"},
            },
        ),
        (31, quarantined("c")),
        (31, {"event": "began", "id": "d", "worker": 1, "attempt": 1}),
        (40, {"event": "beat", "id": "d", "worker": 1, "work": "frames", "done": 5, "total": 9}),
    ]
    return [{"at": 1000.0 + at, **event} for at, event in events]


def totals_of(events: list[dict[str, Any]]) -> BatchTotals:
    totals = BatchTotals()
    for event in events:
        totals.take(event)
    return totals


def test_figures_are_those_worked_out_by_hand():
    totals = totals_of(story())
    assert (totals.rows, totals.finished, len(totals.failed), totals.left) == (5, 2, 1, 2)
    assert (totals.frames, totals.object_frames, totals.video_seconds) == (200, 400, 8.0)
    assert totals.worker_seconds == 20 + 20 + 20  # both for 20 s, then one for 20 s
    assert totals.at_work == 10 + 10
    assert totals.lost == 10 + 1  # the attempt that died, and that of the broken video
    assert totals.idle == 60 - 20 - 11
    assert totals.cost == pytest.approx(3.6 * 60 / 3600)
    assert totals.seconds_left == pytest.approx(2 / (2 / 40))
    assert [worker.job_id for worker in totals.workers] == ["d"]
    assert totals.kinds == {"crash": 1, "data": 1}
    assert totals.attempts == {}
    assert totals.machines["m cpu"].videos == 2


def test_the_rate_of_a_worker_is_that_between_two_beats():
    totals = totals_of(story()[:9])
    assert totals.workers[0].rate == (30 - 10) / (14 - 12)


def test_a_clock_that_is_set_back_takes_no_time_away():
    events = story()
    for event in events[9:]:  # from the end of the first video on
        event["at"] -= 500
    totals = totals_of(events)
    assert totals.worker_seconds == 14 * 2
    assert (totals.frames, totals.at_work >= 0, totals.lost >= 0) == (200, True, True)
    assert all(machine.seconds >= 0 for machine in totals.machines.values())


def test_nobody_works_after_the_end():
    totals = totals_of(
        [*story(), {"at": 1050.0, "event": "stopped", "reason": "x", "sentence": ""}]
    )
    assert totals.workers == []
    assert totals.worker_seconds == 70
    totals.take({"at": 5000.0, "event": "run", "shard": [0, 1], "rows": 5, "price": None})
    assert totals.worker_seconds == 70  # nothing is paid between two calls


def test_damaged_events_are_passed_over():
    totals = totals_of(story())
    before = figures_as_json(totals)
    for event in (
        {"at": 1040.0, "event": "finished"},
        {"at": 1040.0, "event": "beat", "worker": 99},
        {"at": 1040.0, "event": "unknown"},
        {"at": 1040.0, "event": "run", "shard": 3},
    ):
        totals.take(event)
    assert figures_as_json(totals) == before


def write_journal(output: Path, events: list[dict[str, Any]]) -> None:
    journal = Journal(output, (0, 1))
    for event in events:
        journal.write(event)
    journal.close()


def test_the_journal_gives_the_same_figures(tmp_path):
    write_journal(tmp_path, story())
    live = totals_of(story())
    read = read_totals(tmp_path)
    assert named_figures(read) == named_figures(live)


def test_a_torn_line_is_passed_over_and_beats_are_thinned_out(tmp_path):
    write_journal(tmp_path, story())
    (path,) = (tmp_path / "journal").iterdir()
    path.write_bytes(path.read_bytes() + b'{"at": 1, "event": "fini')
    events = list(read_journal(tmp_path))
    assert sum(event["event"] == "beat" for event in events) == 2  # of three, two within 15 s
    assert events[-1]["event"] == "beat"
    with pytest.raises(MissingFileError, match="no journal"):
        read_totals(tmp_path / "none")


class Page(HTMLParser):
    """Collects the texts and tags of a page, and checks that tags are closed in order."""

    VOID = ("meta", "br", "link", "img")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_report_is_well_formed_and_hostile_names_stay_text():
    events = [*story(), quarantined(HOSTILE, sentence=f"{HOSTILE} is <b>broken</b>")]
    events.append(finished(f"{HOSTILE}2") | {"at": 1041.0})
    page = Page(render_report(totals_of([{"at": 1041.0, **event} for event in events])))
    assert "script" not in page.tags
    assert "svg" in page.tags
    text = " ".join(page.texts)
    assert HOSTILE in text
    assert "… is <b>broken</b>" in text
    assert "0.30" in text  # the lowest confidence


def test_an_empty_batch_has_a_report():
    assert "No video is finished" in " ".join(Page(render_report(BatchTotals())).texts)


def test_equal_reasons_of_different_videos_are_one_group():
    events = [{"at": 1.0, **quarantined(f"v{i}")} for i in range(9)]
    (group,) = failure_groups(totals_of(events))
    assert (group.count, group.sentence) == (9, "… is broken")
    assert group.examples == ["v0", "v1", "v2", "v3", "v4"]


SAMPLE = re.compile(r'([a-z_]+)(\{[a-z]+="[^"\\\n]*"(,[a-z]+="[^"\\\n]*")*\})? (-?[0-9.e+-]+)')


def test_metrics_have_the_text_format(tmp_path):
    path = tmp_path / "batch.prom"
    write_metrics(totals_of(story()), path)
    kinds, samples = {}, {}
    for line in path.read_text().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] in kinds
            samples[match[1] + (match[2] or "")] = float(match[4])
    assert samples['maskcast_batch_videos_total{state="finished",class=""}'] == 2
    assert samples['maskcast_batch_videos_total{state="failed",class="data"}'] == 1
    assert samples['maskcast_batch_worker_seconds_total{stage="model"}'] == 14
    assert samples["maskcast_batch_queue_rows"] == 2
    assert kinds["maskcast_batch_workers"] == "gauge"


@pytest.mark.slow
def test_the_parser_of_prometheus_reads_the_metrics(tmp_path):
    parser = pytest.importorskip("prometheus_client.parser")
    path = tmp_path / "batch.prom"
    write_metrics(totals_of(story()), path)
    families = {f.name: f for f in parser.text_string_to_metric_families(path.read_text())}
    states = {s.labels["state"]: s.value for s in families["maskcast_batch_videos"].samples}
    assert states["finished"] == 2
    assert families["maskcast_batch_workers"].type == "gauge"


def test_summaries_of_a_video_that_was_redone_have_it_once(tmp_path):
    again = {"at": 1050.0, **finished("a", frames=50, x_note="n")}
    write_journal(tmp_path, [*story(), again])
    write_summaries(tmp_path, read_totals(tmp_path))
    lines = (tmp_path / "results.csv").read_text().splitlines()
    assert lines[0].endswith(",x_note")
    assert [line.split(",")[:2] for line in lines[1:]] == [["b", "100"], ["a", "50"]]
    (failure,) = (tmp_path / "failures.jsonl").read_text().splitlines()
    assert json.loads(failure)["_failure"]["sentence"] == "c is broken"


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (600, "10 min"), (9000, "2.5 h")])
def test_times_in_words(seconds, text):
    assert in_hours(seconds) == text
