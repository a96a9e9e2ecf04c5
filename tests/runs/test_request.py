"""What keeps a run from continuing, what does not, and where results begin to differ."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from contract.coloured_video import true_mask
from maskcast.core.errors import ConfigError, PromptError, RunConflictError
from maskcast.core.types import Box
from maskcast.runs.fingerprint import prompt_fingerprints
from maskcast.runs.identity import RunIdentity
from maskcast.runs.request import claim, differences, first_difference
from runs.small_run import BOTH, CORRECTED, FIRST, LATE, request

MASK = true_mask(1, 0)


@pytest.mark.parametrize(
    "new",
    [
        request(CORRECTED),
        request(ends={4: (1,)}),
        request(settings={"end": "8"}),
        request(settings={"direction": "both"}),
        request(settings={"on_bad_frame": "hold"}),
        request(settings={"probabilities": True}),
        request({**FIRST, 3: {7: Box(1, 1, 5, 5)}}, box_start="lwl-small abc"),
    ],
)
def test_additions_are_no_differences_but_cannot_be_taken_back(new):
    assert list(differences(request(), new)) == []
    back = list(differences(new, request()))
    assert bool(back) != (new.settings == {"end": "8"})


def test_other_weights_say_how_the_run_can_continue():
    old, new = request(weights="lwl-small"), request(weights="lwl-small", weights_sha256="f" * 64)
    assert list(differences(old, new)) == [
        "the weights were lwl-small (000000000000), now lwl-small (ffffffffffff); "
        "to continue, give the earlier weights"
    ]


def test_an_edit_accepts_prompts_and_nothing_else():
    old = request({**CORRECTED, 9: {7: Box(1, 1, 5, 5)}}, box_start="lwl-small abc")
    assert len(list(differences(old, request()))) == 3
    assert list(differences(old, request(), edited=True)) == []
    other = request(options={"rate": "1"}, settings={"dtype": "bfloat16"})
    assert list(differences(old, other, edited=True)) == [
        "the option rate was not given, now 1",
        "the setting dtype was not given, now bfloat16",
    ]


def test_the_first_difference_is_the_first_frame_whose_results_differ():
    assert first_difference(request(), request()) is None
    assert first_difference(request(), request(CORRECTED)) == 8
    assert first_difference(request(CORRECTED), request()) == 8
    assert first_difference(request(ends={5: (1,)}), request(ends={7: (1,)})) == 5
    late, less = (request(prompts, settings=BOTH) for prompts in (LATE, {5: LATE[5]}))
    assert first_difference(late, less) == 0  # the backward pass had filled object 2 in
    assert first_difference(less, late) == 8
    assert first_difference(request(LATE), request({5: LATE[5]})) == 8


def test_digests_depend_on_what_came_before_a_frame_and_on_nothing_else():
    plain, corrected = RunIdentity(request()), RunIdentity(request(CORRECTED))
    assert plain.of_frame(7) == corrected.of_frame(7)
    assert plain.of_frame(8) != corrected.of_frame(8) == corrected.of_frame(10**6)
    assert plain.backward == corrected.backward
    same = ({"end": "5"}, {"direction": "both"}, {"on_bad_frame": "hold"}, {"start": None})
    assert {RunIdentity(request(settings=s)).of_frame(3) for s in same} == {plain.of_frame(3)}
    others = [
        request(method="other"),
        request(weights_sha256="2" * 64),
        request(input_sha256="3" * 64),
        request(options={"rate": "1"}),
        request(settings={"start": "5"}),
        request(settings={"dtype": "bfloat16"}),
        request(settings={"probabilities": True}),
        request(ends={0: (3,)}),
    ]
    assert len({RunIdentity(other).of_frame(0) for other in others} | {plain.of_frame(0)}) == 9


def test_a_box_is_as_good_as_the_model_that_reads_it():
    boxes = {3: {7: Box(1, 1, 5, 5)}}
    one, other = (RunIdentity(request(boxes, box_start=name)) for name in ("a", "b"))
    assert one.of_frame(2) == other.of_frame(2)
    assert one.of_frame(3) != other.of_frame(3)
    assert one.backward != other.backward


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def test_digests_are_computed_as_the_format_says():
    # results on users' disks are found by them: a change makes every run start from the beginning
    asked = request(
        {0: {1: MASK}, 4: {2: Box(1, 2, 3, 4.5)}},
        ends={9: (1,)},
        box_start="lwl-small abc",
        options={"update_steps": "5"},
        settings={"start": "1.5s", "end": None, "dtype": "float32", "deterministic": False},
    )
    mask = asked.prompts["0:1"]
    base = sha(
        '{"input":"' + "1" * 64 + '","method":"colours","options":{"update_steps":"5"},'
        '"settings":{"dtype":"float32","start":"1.5s"},"weights":"' + "0" * 64 + '"}'
    )
    first = sha(f'["{base}",0,[[1,"{mask}"]]]')
    second = sha(f'["{first}",4,[[2,["box 1,2,3,4.5","lwl-small abc"]]]]')
    third = sha(f'["{second}",9,[[1,"end"]]]')
    identity = RunIdentity(asked)
    assert [identity.of_frame(frame) for frame in (0, 3, 4, 8, 9)] == [
        *(first, first),
        *(second, second),
        third,
    ]
    box = '[2,4,["box 1,2,3,4.5","lwl-small abc"]]'
    assert identity.backward == sha(f'["{base}",[[1,0,"{mask}"],{box}]]')


def test_a_prompt_and_an_end_on_one_frame_exclude_each_other():
    with pytest.raises(PromptError, match="object 1 has both a prompt and an end on frame 0"):
        prompt_fingerprints(FIRST, {0: (1,)})


@pytest.mark.parametrize("prompts", [{"x": "mask"}, {"1:2:3": "mask"}, {"-1:1": ""}])
def test_prompts_of_a_damaged_card_are_an_error(prompts):
    with pytest.raises(ConfigError, match="FRAME:ID"):
        type(request())(**{**vars(request()), "prompts": prompts})


def test_a_folder_is_claimed_if_it_is_new_empty_or_holds_the_same(tmp_path):
    claim(tmp_path / "new", None)
    (tmp_path / ".hidden").write_text("")
    claim(tmp_path, None)
    (tmp_path / "a.txt").write_text("")
    claim(tmp_path, [])
    with pytest.raises(RunConflictError, match=r"contains files but no evaluation \(a.txt, …\)"):
        claim(tmp_path, None, kind="evaluation", options=("output",))
    with pytest.raises(RunConflictError, match="contains a different run") as caught:
        claim(tmp_path, ["one", "two"])
    assert caught.value.details == ("one", "two")
    assert caught.value.options == ("output", "overwrite")


def test_a_server_without_torch_can_read_runs():
    modules = ("request", "identity", "frame_log", "fingerprint", "card", "removal", "objects")
    names = ", ".join(f"maskcast.runs.{module}" for module in modules)
    code = f"import sys, {names}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
