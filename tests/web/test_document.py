"""The document is a value: edits return new ones, and say on the run card what they mean."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from maskcast.core.errors import ConfigError, DataError, UsageError
from maskcast.web.document import Document, DocumentObject, digest, from_json, to_json
from maskcast.web.renames import Renamed

M1, M2 = "mask " + "1" * 32, "mask " + "2" * 32


def known(object_id: int, **changes) -> DocumentObject:
    usual = {"id": object_id, "slot": object_id, "name": f"o{object_id}", "colour": "#56b4e9"}
    return DocumentObject(**(usual | changes))


DOCUMENT = Document(
    objects=(known(1), known(2, name="left post", locked=True)),
    prompts={0: {1: M1, 2: M2}, 5: {1: M2}, 7: {2: "absent"}},
    ends=frozenset({(9, 1)}),
    seen=frozenset({(3, 1, "jump")}),
)


def test_it_survives_json():
    again = from_json(json.loads(json.dumps(to_json(DOCUMENT))))
    assert again == DOCUMENT
    assert digest(again) == digest(DOCUMENT)


def test_the_order_of_edits_does_not_change_its_name():
    one = Document().with_prompts(0, {1: M1}).with_prompts(5, {2: M2})
    other = Document().with_prompts(5, {2: M2}).with_prompts(0, {1: M1})
    assert digest(one) == digest(other)


def test_edits_leave_the_earlier_document_alone():
    before = to_json(DOCUMENT)
    DOCUMENT.with_prompts(0, {1: None})
    DOCUMENT.without_object(1)
    DOCUMENT.with_end(8, 2)
    assert to_json(DOCUMENT) == before


def test_a_frame_without_prompts_goes():
    assert 5 not in DOCUMENT.with_prompts(5, {1: None}).prompts


def test_a_prompt_takes_the_place_of_an_end_and_an_end_that_of_a_prompt():
    begun = DOCUMENT.with_prompts(9, {1: M1})
    assert begun.ends == frozenset()
    ended = begun.with_end(9, 1)
    assert ended.ends == {(9, 1)}
    assert 9 not in ended.prompts


def test_an_object_cannot_end_before_it_begins():
    with pytest.raises(UsageError, match="before it is marked"):
        DOCUMENT.with_end(0, 1)


def test_a_deleted_object_leaves_no_marks():
    left = DOCUMENT.without_object(1)
    assert left.prompts == {0: {2: M2}, 7: {2: "absent"}}
    assert (left.ends, left.seen) == (frozenset(), frozenset())
    assert [o.id for o in left.objects] == [2]


def test_the_card_lists_prompts_absences_and_ends():
    assert DOCUMENT.marks(goes_backward=False) == {
        "0:1": M1,
        "0:2": M2,
        "5:1": M2,
        "7:2": "absent",
        "9:1": "end",
    }


@pytest.mark.parametrize(
    ("prompts", "ends", "both", "expected"),
    [
        ({2: {1: "absent"}, 5: {1: M1}}, set(), False, {"5:1": M1}),
        ({2: {1: "absent"}, 5: {1: M1}}, set(), True, {"2:1": "absent", "5:1": M1}),
        ({2: {1: "absent"}}, set(), True, {}),
        ({0: {1: M1}, 6: {1: "absent"}}, {(4, 1)}, False, {"0:1": M1, "4:1": "end"}),
        ({5: {1: M1}}, {(3, 1)}, False, {"5:1": M1}),
    ],
    ids=["early, forward", "early, both", "alone", "after the end", "end before the mask"],
)
def test_marks_without_effect_are_not_on_the_card(prompts, ends, both, expected):
    assert Document(prompts=prompts, ends=frozenset(ends)).marks(goes_backward=both) == expected


def test_locks_and_flags_are_carried_through_undo():
    later = replace(DOCUMENT, objects=(known(1, locked=True), known(2)), seen=frozenset())
    carried = DOCUMENT.carried(later)
    assert [o.locked for o in carried.objects] == [True, False]
    assert carried.seen == frozenset()
    assert carried.prompts == DOCUMENT.prompts


@pytest.mark.parametrize(
    "damage",
    [
        lambda tree: tree.pop("prompts"),
        lambda tree: tree["prompts"].update({"x": {}}),
        lambda tree: tree["prompts"].update({"-1": {}}),
        lambda tree: tree["prompts"]["0"].update({"1": "mask ../../etc/passwd"}),
        lambda tree: tree["prompts"]["0"].update({"1": 7}),
        lambda tree: tree["objects"][0].update({"colour": "red"}),
        lambda tree: tree["objects"][0].update({"slot": 255}),
        lambda tree: tree["objects"][0].update({"id": True}),
        lambda tree: tree["objects"][0].update({"more": 1}),
        lambda tree: tree["objects"].append(tree["objects"][0]),
        lambda tree: tree["ends"].append([1]),
        lambda tree: tree.update({"objects": 3}),
    ],
)
def test_damage_is_an_error(damage):
    tree = to_json(DOCUMENT)
    tree = json.loads(json.dumps(tree))
    damage(tree)
    with pytest.raises((DataError, UsageError)):
        from_json(tree)


def test_names_and_colours_are_checked():
    with pytest.raises(ConfigError, match="colour"):
        known(1, colour="blue")
    with pytest.raises(ConfigError, match="80"):
        known(1, name="n" * 81)


@pytest.mark.parametrize("renames", [{Renamed(4, 2, 1)}, {Renamed(4, 1, 2), Renamed(4, 2, 1)}])
@pytest.mark.parametrize("object_id", [1, 2])
def test_an_edit_cannot_take_the_effect_of_a_swap_or_merge_away(renames, object_id):
    before = Document(prompts={0: {1: M1, 2: M2}}, renames=frozenset(renames))
    for edited in (
        before.with_end(2, object_id),
        before.with_prompts(0, {object_id: None}),
        before.with_prompts(0, {object_id: "absent"}),
        before.with_prompts(6, {1: M1}).with_prompts(0, {object_id: None}),
    ):
        with pytest.raises(UsageError, match="objects 1 and 2 are swapped or merged on frame 4"):
            edited.check(before)
    before.with_prompts(2, {object_id: M1}).with_prompts(0, {object_id: None}).check(before)
    before.with_end(2, object_id).with_prompts(3, {object_id: M1}).check(before)
    before.with_end(6, 1).check(before)
    before.without_object(object_id).check(before)


def test_a_merge_without_effect_does_not_stop_other_edits():
    before = Document(prompts={0: {1: M1}, 6: {2: M2}}, renames=frozenset({Renamed(4, 2, 1)}))
    before.with_prompts(7, {1: M2}).check(before)
    without = replace(before, renames=frozenset())
    with pytest.raises(UsageError, match="objects 1 and 2"):
        before.check(without)
