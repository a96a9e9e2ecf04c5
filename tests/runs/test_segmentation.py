"""Stopping anywhere and going on gives what an unbroken run gives, bit for bit."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.coloured_video import frames, true_mask
from contract.stand_in import ColourConfig, ColourTracker
from maskcast.core.errors import ConfigError, FrameError, OutputError, RunConflictError
from maskcast.core.state import save_state
from maskcast.core.types import ObjectMasks
from maskcast.io.label_maps import read_label_map, write_label_map
from maskcast.runs.card import read_card
from maskcast.runs.fingerprint import prompt_fingerprints
from maskcast.runs.masks import FoundObject
from maskcast.runs.opening import open_run
from maskcast.runs.request import RunRequest, differences
from maskcast.runs.segmentation import SavePolicy, segment_into

VIDEO = frames(12)
PROMPTS = {0: {1: true_mask(1, 0)}, 4: {2: true_mask(2, 4)}}
EVERY_3 = SavePolicy(frames=3, seconds=1e9)


def request(prompts=PROMPTS, **changes) -> RunRequest:
    entries = {"method": "colours", "weights": "none", "weights_sha256": "0" * 64}
    entries |= {"input": "video", "input_sha256": "1" * 64}
    return RunRequest(**(entries | {"prompts": prompt_fingerprints(prompts)} | changes))


def run_into(folder: Path, *, video=VIDEO, prompts=PROMPTS, overwrite=False, **arguments):
    run = open_run(folder, request(prompts), frame_name=lambda i: f"{i:05d}", overwrite=overwrite)
    tracker = ColourTracker(ColourConfig(), torch.zeros(()))
    options = {"policy": EVERY_3} | arguments
    return segment_into(run, tracker, lambda start: islice(video, start, None), prompts, **options)


def masks_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def states_in(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in (folder / ".states").glob("*.safetensors"))


@pytest.fixture
def unbroken(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    run_into(folder)
    return folder


def stopping_at(frame_index: int, error: BaseException):
    """The video, which fails when this frame is asked for."""
    yield from VIDEO[:frame_index]
    raise error


def test_a_run_writes_one_label_map_per_frame_and_a_card(unbroken):
    assert list(masks_in(unbroken)) == [f"{i:05d}.png" for i in range(12)]
    assert (read_label_map(unbroken / "00000.png") == 1).tolist() == true_mask(1, 0).tolist()
    card = json.loads((unbroken / "run.json").read_text())
    assert card["status"] == "finished"
    assert card["frames"] == card["steps"] == 12
    assert card["resumed_from"] == 0
    assert card["method"] == "colours"
    assert card["device"] == "cpu"
    assert card["threads"] == torch.get_num_threads()
    assert card["seconds"]["model"] > 0
    assert set(card["prompts"]) == {"0:1", "4:2"}


def test_the_first_and_the_last_two_states_stay(unbroken, tmp_path):
    # saved after 0, the first with an object, then every third; later ones push out earlier ones
    assert states_in(unbroken) == [0, 6, 9]
    policy = SavePolicy(frames=1, seconds=1e9, keep_every=4)
    run_into(tmp_path / "all", policy=policy)
    assert states_in(tmp_path / "all") == [0, 4, 8, 10, 11]


def test_states_that_are_to_be_kept_are_saved_whenever_they_are_due(tmp_path):
    run_into(tmp_path, policy=SavePolicy(frames=5, seconds=1e9, keep_every=3))
    assert states_in(tmp_path) == [0, 3, 6, 9]


def test_after_a_long_step_the_state_is_saved_at_once(tmp_path):
    run_into(tmp_path, policy=SavePolicy(frames=1000, seconds=1e-9))
    assert states_in(tmp_path) == [0, 10, 11]


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_an_interrupted_run_goes_on_where_it_stopped(stop, tmp_path, unbroken):
    with pytest.raises(KeyboardInterrupt, match=f"stopped after {stop} frame"):
        run_into(tmp_path, video=stopping_at(stop, KeyboardInterrupt()))
    assert read_card(tmp_path).status == "interrupted"
    card = run_into(tmp_path)
    assert card.resumed_from == stop
    assert card.steps == 12
    assert masks_in(tmp_path) == masks_in(unbroken)


def test_a_killed_run_goes_on_from_its_last_state(tmp_path, unbroken):
    def killed(*_, **__):
        raise SystemExit  # neither our error nor Ctrl-C, and nothing may be saved at the end

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("maskcast.runs.segmentation._Keeper.save_last", killed)
        run_into(tmp_path, video=stopping_at(8, SystemExit()))
    assert states_in(tmp_path) == [0, 3, 6]
    assert len(masks_in(tmp_path)) == 8
    card = run_into(tmp_path)
    assert card.resumed_from == 7
    assert masks_in(tmp_path) == masks_in(unbroken)


def test_a_state_is_saved_when_the_disk_has_all_masks_up_to_it(tmp_path, monkeypatch):
    done: list[str] = []

    def flush(path: Path) -> None:
        if path.suffix == ".png":
            done.append(path.stem)

    def save(state, path: Path, *, digest: str) -> None:
        done.append(f"state {int(path.stem)}")
        save_state(state, path, digest=digest)

    monkeypatch.setattr("maskcast.runs.masks.flush_to_disk", flush)
    monkeypatch.setattr("maskcast.runs.states.save_state", save)
    run_into(tmp_path, video=VIDEO[:5])
    first, later = ["00000", "state 0"], ["00001", "00002", "00003", "state 3", "00004"]
    assert done == first + later


def test_a_run_killed_after_its_last_frame_is_only_finished(tmp_path, unbroken):
    def of_the_video(frame_index: int) -> str:
        return [f"{i:05d}" for i in range(12)][frame_index]

    run_into(tmp_path, policy=SavePolicy(frames=1, seconds=1e9))
    run = open_run(tmp_path, request(), frame_name=of_the_video)
    run.update(status="running", forward_finished=False)  # as it was until then
    tracker = ColourTracker(ColourConfig(), torch.zeros(()))
    card = segment_into(run, tracker, lambda start: islice(VIDEO, start, None), PROMPTS)
    assert (card.status, card.frames, card.resumed_from) == ("finished", 12, 12)
    assert masks_in(tmp_path) == masks_in(unbroken)


def test_a_bad_frame_keeps_what_was_done(tmp_path):
    with pytest.raises(FrameError):
        run_into(tmp_path, video=stopping_at(5, FrameError("frame 5 is damaged")))
    card = read_card(tmp_path)
    assert (card.status, card.frames, card.note) == ("stopped", 5, "frame 5 is damaged")
    assert len(masks_in(tmp_path)) == 5


def test_a_finished_run_is_left_alone(unbroken):
    before = masks_in(unbroken)
    card = run_into(unbroken, video=stopping_at(0, AssertionError()))
    assert card.status == "finished"
    assert masks_in(unbroken) == before


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_mask_that_is_gone_or_cut_off_is_made_anew(tmp_path, unbroken, caplog, is_gone):
    run_into(tmp_path)
    (tmp_path / "exports").mkdir()
    mask = tmp_path / "00008.png"
    if is_gone:
        mask.unlink()
    else:
        mask.write_bytes(mask.read_bytes()[:-30])
    card = run_into(tmp_path)
    assert (card.status, card.resumed_from) == ("finished", 7)  # after the state of frame 6
    assert masks_in(tmp_path) == masks_in(unbroken)
    assert "00008.png is missing" in caplog.text
    assert not (tmp_path / "exports").exists()


def test_a_damaged_state_or_a_lost_mask_means_going_further_back(tmp_path, unbroken):
    with pytest.raises(KeyboardInterrupt):
        run_into(tmp_path, video=stopping_at(8, KeyboardInterrupt()))
    assert states_in(tmp_path) == [0, 6, 7]
    newest = tmp_path / ".states" / "00000007.safetensors"
    newest.write_bytes(newest.read_bytes()[:100])
    assert run_into(tmp_path).resumed_from == 7
    assert masks_in(tmp_path) == masks_in(unbroken)

    (tmp_path / "00004.png").unlink()
    assert open_run(tmp_path, request(), frame_name=lambda i: f"{i:05d}").card.frames == 4
    assert states_in(tmp_path) == [0]  # those after the gap are no longer of use


def test_one_more_prompt_keeps_the_frames_before_it(tmp_path, unbroken):
    more = {**PROMPTS, 8: {2: true_mask(2, 8), 300: true_mask(300, 8)}}
    before = masks_in(unbroken)
    card = run_into(unbroken, prompts=more)
    assert card.resumed_from == 7  # after the state of frame 6
    assert card.status == "finished"
    after = masks_in(unbroken)
    assert next(name for name in after if after[name] != before[name]) == "00008.png"
    run_into(tmp_path / "at once", prompts=more)
    assert after == masks_in(tmp_path / "at once")
    assert 300 in np.unique(read_label_map(unbroken / "00011.png"))


def test_a_prompt_before_every_state_starts_from_the_beginning(unbroken, tmp_path):
    more = {0: {**PROMPTS[0], 300: true_mask(300, 0)}, 4: PROMPTS[4]}
    assert run_into(unbroken, prompts=more).resumed_from == 0
    run_into(tmp_path / "at once", prompts=more)
    assert masks_in(unbroken) == masks_in(tmp_path / "at once")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (request({0: PROMPTS[0]}), "prompt of object 2 on frame 4 was removed"),
        (request({**PROMPTS, 4: {2: true_mask(2, 5)}}), "object 2 on frame 4 was changed"),
        (request(weights_sha256="2" * 64), "the weights were none"),
        (request(method="other"), "the method was colours, now other"),
        (request(input_sha256="3" * 64), "the input was video with different content"),
        (request(options={"rate": "1"}), "the option rate was not given, now 1"),
        (request(settings={"start": 3}), "the setting start was not given, now 3"),
    ],
)
def test_a_different_run_is_refused(changed, message, unbroken):
    before = masks_in(unbroken)
    with pytest.raises(RunConflictError, match=message):
        open_run(unbroken, changed, frame_name=str)
    assert masks_in(unbroken) == before


def test_a_setting_that_is_left_out_now_was_given_before():
    old, new = (request(settings={"start": start}) for start in ("16", None))
    assert list(differences(old, new)) == ["the setting start was 16, now not given"]


def test_frames_counted_from_start_are_told_as_such():
    old, new = (request(prompts, settings={"start": "1.5s"}) for prompts in (PROMPTS, {}))
    assert list(differences(old, new)) == [
        "the prompt of object 1 on frame 0 after the start was removed",
        "the prompt of object 2 on frame 4 after the start was removed",
    ]


def test_what_failed_before_its_first_mask_binds_nobody(tmp_path):
    other = {0: {2: true_mask(2, 0)}}
    with pytest.raises(FrameError):
        run_into(tmp_path, video=stopping_at(0, FrameError("frame 0 is damaged")))
    card = run_into(tmp_path, prompts=other, video=VIDEO[:1])
    assert (card.status, card.note, set(card.request.prompts)) == ("finished", "", {"0:2"})
    with pytest.raises(RunConflictError, match="object 2 on frame 0 was removed"):
        run_into(tmp_path)


def test_a_run_that_stopped_at_a_bad_frame_goes_on_holding_the_one_before_it(tmp_path):
    def go_on(on_bad_frame: str, video):
        asked = request(settings={"on_bad_frame": on_bad_frame})
        run = open_run(tmp_path, asked, frame_name=lambda i: f"{i:05d}")
        tracker = ColourTracker(ColourConfig(), torch.zeros(()))
        return segment_into(run, tracker, lambda start: islice(video, start, None), PROMPTS)

    with pytest.raises(FrameError):
        go_on("stop", stopping_at(5, FrameError("frame 5 is damaged")))
    card = go_on("hold", VIDEO)
    assert (card.resumed_from, card.steps) == (5, 12)
    assert card.request.settings == {"on_bad_frame": "hold"}
    with pytest.raises(RunConflictError, match="on_bad_frame was hold, now stop"):
        go_on("stop", VIDEO)


def test_overwrite_deletes_what_the_run_made_and_nothing_else(unbroken):
    (unbroken / "notes.txt").write_text("mine")
    (unbroken / "picture.png").write_bytes(b"mine too")
    run = open_run(unbroken, request({}), frame_name=str, overwrite=True)
    assert sorted(path.name for path in unbroken.iterdir()) == [
        "notes.txt",
        "picture.png",
        "run.json",
    ]
    assert run.card.frames == 0


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(RunConflictError, match=r"contains files but no run \(holiday.jpg"):
        open_run(tmp_path, request(), frame_name=str)


def test_a_damaged_card_is_refused(unbroken):
    (unbroken / "run.json").write_text('{"maskcast": "0.1.0", "method"')
    with pytest.raises(RunConflictError, match="not a run card"):
        open_run(unbroken, request(), frame_name=str)


def test_an_output_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot"):
        open_run(tmp_path / "file" / "run", request(), frame_name=str)


@pytest.mark.parametrize(
    ("place", "writer"),
    [
        ("maskcast.runs.masks.write_label_map", write_label_map),
        ("maskcast.runs.states.save_state", save_state),
    ],
)
def test_a_full_disk_is_one_sentence_and_can_be_resumed(place, writer, tmp_path, unbroken):
    calls = []

    def full(*arguments, **keywords):
        calls.append(1)
        if len(calls) > 2:
            raise OutputError("cannot write it: the disk is full")
        return writer(*arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(OutputError, match="disk is full"):
        patch.setattr(place, full)
        run_into(tmp_path)
    assert read_card(tmp_path).status == "stopped"
    run_into(tmp_path)
    assert masks_in(tmp_path) == masks_in(unbroken)


def test_confidence_is_logged_and_survives_a_line_cut_off(tmp_path):
    run_into(tmp_path, video=VIDEO[:3], prompts={0: PROMPTS[0]})
    log = tmp_path / "frames.jsonl"
    log.write_text(log.read_text()[:-10])
    run = open_run(tmp_path, request({0: PROMPTS[0]}), frame_name=lambda i: f"{i:05d}")
    assert set(run.found_objects()) == {0, 1}
    probs = torch.tensor([[[0.75, 0.25, 0.5, 0.0]], [[0.0, 0.25, 0.5, 0.0]]])
    run.write_frame(2, ObjectMasks((5, 9), probs))
    assert run.found_objects()[2] == {5: FoundObject(2, 0.625), 9: FoundObject(0, None)}


def test_probabilities_are_16_bit_pictures_per_object(tmp_path):
    run_into(tmp_path, probabilities=True)
    soft = read_label_map(tmp_path / "probs" / "2" / "00004.png")
    assert soft[true_mask(2, 4).numpy()].min() == 65535
    assert not (tmp_path / "probs" / "2" / "00003.png").exists()


def test_nonsense_policies_are_refused():
    for wrong in ({"frames": 0}, {"seconds": 0.0}, {"keep_every": -1}, {"seconds": float("nan")}):
        with pytest.raises(ConfigError, match=r"(save_frames|save_seconds|keep_every) must be"):
            SavePolicy(**wrong)


LATE = {5: {1: true_mask(1, 5)}, 8: {2: true_mask(2, 8)}}


def run_both_ways(folder: Path, *, backward=None, prompts=LATE, **arguments):
    def frames_backward(start):
        return iter(VIDEO[start::-1])

    return run_into(
        folder, prompts=prompts, frames_backward=backward or frames_backward, **arguments
    )


def test_the_backward_pass_fills_only_frames_before_first_prompts(tmp_path):
    run_into(tmp_path / "forward", prompts=LATE)
    card = run_both_ways(tmp_path / "both")
    assert (card.status, card.frames, card.frames_backward) == ("finished", 12, 9)
    for frame_index in range(12):
        name = f"{frame_index:05d}.png"
        forward = read_label_map(tmp_path / "forward" / name)
        both = read_label_map(tmp_path / "both" / name)
        assert (both[forward != 0] == forward[forward != 0]).all()
        for object_id, given in ((1, 5), (2, 8)):
            if frame_index < given:
                expected = true_mask(object_id, frame_index).numpy()
                assert ((both == object_id) == expected).all()
        if frame_index >= 8:
            assert (both == forward).all()


def test_the_frame_log_tells_of_both_passes(tmp_path):
    run_both_ways(tmp_path)
    run = open_run(tmp_path, request(LATE), frame_name=lambda i: f"{i:05d}")
    found = run.found_objects()
    assert {i: set(objects) for i, objects in found.items()} == {i: {1, 2} for i in range(12)}
    assert found[2][1].area == found[6][2].area == found[6][1].area == 49


@pytest.mark.parametrize("stop", [2, 6])
def test_an_interrupted_backward_pass_goes_on_where_it_stopped(stop, tmp_path):
    def interrupted(start):
        for count, frame in enumerate(VIDEO[start::-1]):
            if count == stop:
                raise KeyboardInterrupt
            yield frame

    run_both_ways(tmp_path / "unbroken")
    with pytest.raises(KeyboardInterrupt):
        run_both_ways(tmp_path / "run", backward=interrupted)
    card = run_both_ways(tmp_path / "run", video=stopping_at(0, AssertionError()))
    assert card.resumed_from == 8 - stop
    assert masks_in(tmp_path / "run") == masks_in(tmp_path / "unbroken")


def test_a_mask_that_is_gone_during_the_backward_pass_is_made_anew(tmp_path):
    run_both_ways(tmp_path / "unbroken")
    with pytest.raises(KeyboardInterrupt):
        run_both_ways(tmp_path / "run", backward=lambda start: stopping_at(0, KeyboardInterrupt()))
    (tmp_path / "run" / "00002.png").unlink()
    run_both_ways(tmp_path / "run")
    assert masks_in(tmp_path / "run") == masks_in(tmp_path / "unbroken")


def test_a_filled_mask_that_is_gone_from_a_finished_run_is_made_anew(tmp_path):
    run_both_ways(tmp_path / "unbroken")
    run_both_ways(tmp_path / "run")
    (tmp_path / "run" / "00002.png").unlink()
    run_both_ways(tmp_path / "run")
    assert masks_in(tmp_path / "run") == masks_in(tmp_path / "unbroken")


def test_one_more_prompt_does_the_backward_pass_anew(tmp_path):
    more = {3: {2: true_mask(2, 3)}, **LATE, 9: {300: true_mask(300, 9)}}
    run_both_ways(tmp_path / "run")
    run_both_ways(tmp_path / "run", prompts=more)
    run_both_ways(tmp_path / "at once", prompts=more)
    assert masks_in(tmp_path / "run") == masks_in(tmp_path / "at once")


FORWARD, BOTH = {"direction": "forward"}, {"direction": "both"}


def go_both_ways(folder: Path, prompts=LATE):
    """Take up the run in a folder with a backward pass, as the command does."""
    run = open_run(folder, request(prompts, settings=BOTH), frame_name=lambda i: f"{i:05d}")
    return segment_into(
        run,
        ColourTracker(ColourConfig(), torch.zeros(())),
        lambda start: stopping_at(0, AssertionError()),
        prompts,
        frames_backward=lambda start: iter(VIDEO[start::-1]),
        policy=EVERY_3,
    )


def go_forward(folder: Path, video=VIDEO):
    run = open_run(folder, request(LATE, settings=FORWARD), frame_name=lambda i: f"{i:05d}")
    tracker = ColourTracker(ColourConfig(), torch.zeros(()))
    return segment_into(run, tracker, lambda start: islice(video, start, None), LATE)


def test_a_backward_pass_can_be_added_to_a_finished_run(tmp_path):
    go_forward(tmp_path / "run")
    (tmp_path / "run" / "exports").mkdir()
    (tmp_path / "run" / "exports" / "tracks.csv").write_text("outdated")
    forward = masks_in(tmp_path / "run")
    card = go_both_ways(tmp_path / "run")  # no frame is segmented forward again
    assert (card.status, card.request.settings, card.frames_backward) == ("finished", BOTH, 9)
    assert card.resumed_from == 8
    assert not (tmp_path / "run" / "exports").exists()
    run_both_ways(tmp_path / "at once")
    both = masks_in(tmp_path / "run")
    assert both == masks_in(tmp_path / "at once")
    assert [name for name in both if both[name] == forward[name]] == [
        f"{i:05d}.png" for i in range(8, 12)
    ]


def test_a_backward_pass_cannot_be_taken_away(tmp_path):
    go_forward(tmp_path)
    go_both_ways(tmp_path)
    with pytest.raises(RunConflictError, match="the setting direction was both, now forward"):
        open_run(tmp_path, request(LATE, settings=FORWARD), frame_name=str)


def test_without_late_objects_there_is_nothing_to_go_back_for(tmp_path):
    def never(start):
        raise AssertionError

    card = run_both_ways(tmp_path, prompts={0: PROMPTS[0]}, backward=never)
    assert (card.status, card.frames_backward) == ("finished", 0)


def test_damaged_lines_of_the_log_and_cards_do_no_harm(tmp_path):
    run_into(tmp_path / "run")
    before = masks_in(tmp_path / "run")
    with (tmp_path / "run" / "frames.jsonl").open("a") as file:
        file.write('\n5\n{"frame": 1}\n{"frame": "x", "mask": "..", "objects": {}}\n\0\0\n[]')
        file.write('\n{"frame": 1e400, "mask": "x", "objects": {}}\n' + "[" * 100_000)
        file.write('\n{"frame": 12, "mask": "../12.png", "objects": {}}')
    card = run_into(tmp_path / "run", video=stopping_at(0, AssertionError()))
    assert (card.status, card.frames) == ("finished", 12)
    assert masks_in(tmp_path / "run") == before
    (tmp_path / "run" / "run.json").write_text('{"prompts": {"x": "mask"}}')
    with pytest.raises(RunConflictError, match="is not a run card of this version"):
        run_into(tmp_path / "run")


TWO_SHOTS = [*VIDEO[:6], *(1 - frame for frame in VIDEO[6:])]


def cuts_logged(folder: Path) -> list[int]:
    run = open_run(folder, read_card(folder).request, frame_name=lambda i: f"{i:05d}")
    return [index for index, entry in run.log.by_frame().items() if entry.begins_shot]


@pytest.mark.parametrize("stop", [5, 6, 7])
def test_a_shot_cut_is_logged_wherever_a_run_is_interrupted(stop, tmp_path):
    run_into(tmp_path / "unbroken", video=TWO_SHOTS)
    assert cuts_logged(tmp_path / "unbroken") == [6]

    def interrupted():
        yield from TWO_SHOTS[:stop]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_into(tmp_path / "run", video=interrupted())
    run_into(tmp_path / "run", video=TWO_SHOTS)
    assert cuts_logged(tmp_path / "run") == [6]
    assert masks_in(tmp_path / "run") == masks_in(tmp_path / "unbroken")


def test_a_backward_pass_keeps_the_cuts_of_the_forward_pass(tmp_path):
    late = {8: {1: true_mask(1, 8)}}
    asked = request(late, settings={"direction": "both"})
    run = open_run(tmp_path, asked, frame_name=lambda i: f"{i:05d}")
    tracker = ColourTracker(ColourConfig(), torch.zeros(()))
    segment_into(
        run,
        tracker,
        lambda start: iter(TWO_SHOTS[start:]),
        late,
        frames_backward=lambda start: iter(TWO_SHOTS[start::-1]),
    )
    assert cuts_logged(tmp_path) == [6]
    assert run.log.by_frame()[6].filled == (1,)
