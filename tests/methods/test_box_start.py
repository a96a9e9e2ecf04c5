"""A method without boxes gets masks instead."""

from __future__ import annotations

import torch

from contract.coloured_video import SIZE, frames, true_mask
from contract.stand_in import ColourConfig, ColourTracker
from maskcast.core.types import ABSENT, Box, ObjectMasks
from maskcast.methods.box_start import BoxStart


class Boxer:
    """Finds in every box what it is told to find."""

    def __init__(self, masks):
        self.masks = masks
        self.asked = []

    def start(self):
        return None

    def step(self, state, frame, prompts):
        self.asked.append(dict(prompts))
        probs = torch.stack([self.masks[object_id].float() for object_id in prompts])
        return None, ObjectMasks(tuple(prompts), probs)

    def remove_objects(self, state, ids):
        return state


def wrapped(masks):
    boxer, built = Boxer(masks), []

    def build():
        built.append(boxer)
        return boxer

    tracker = ColourTracker(ColourConfig(), torch.zeros(()))
    return BoxStart(tracker, build), tracker, boxer, built


BOX = Box(2.0, 9.0, 7.0, 7.0)


def test_the_box_becomes_the_mask_that_was_found_in_it():
    segmenter, tracker, boxer, _ = wrapped({1: true_mask(1, 0), 2: true_mask(2, 0)})
    frame = frames(1)[0]
    state, found = segmenter.step(segmenter.start(), frame, {2: BOX, 1: true_mask(1, 0)})
    _, expected = tracker.step(tracker.start(), frame, {2: true_mask(2, 0), 1: true_mask(1, 0)})
    assert found.ids == expected.ids
    assert found.probs.equal(expected.probs)
    assert set(boxer.asked[0]) == {
        1,
        2,
    }  # given masks are shown too, so that they keep their pixels
    assert type(state) is type(tracker.start())
    assert segmenter.remove_objects(state, [1, 2]).objects == ()


def test_an_absence_beside_a_box_is_for_the_method_alone():
    segmenter, _, boxer, _ = wrapped({2: true_mask(2, 1)})
    video = frames(2)
    state, _ = segmenter.step(segmenter.start(), video[0], {1: true_mask(1, 0)})
    _, found = segmenter.step(state, video[1], {1: ABSENT, 2: BOX})
    assert set(boxer.asked[0]) == {2}
    assert not found.only({1}).probs.any()
    assert (found.label_map() == 2).equal(true_mask(2, 1))


def test_without_boxes_nobody_is_asked():
    segmenter, _, _, built = wrapped({})
    state, _ = segmenter.step(segmenter.start(), frames(1)[0], {1: true_mask(1, 0)})
    segmenter.step(state, frames(2)[1])
    assert built == []


def test_a_box_with_nothing_in_it_is_filled_where_no_mask_is(caplog):
    nothing = torch.zeros(SIZE, dtype=torch.bool)
    given = torch.zeros(SIZE, dtype=torch.bool)
    given[:, :5] = True
    segmenter, _, _, _ = wrapped({1: given, 2: nothing})
    _, found = segmenter.step(segmenter.start(), frames(1)[0], {1: given, 2: BOX})
    rows, columns = (found.label_map() == 2).nonzero(as_tuple=True)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (5, 9, 9, 16)
    assert "found no object in the box of object 2" in caplog.text


def test_a_box_full_of_other_masks_keeps_one_pixel():
    everything = torch.ones(SIZE, dtype=torch.bool)
    nothing = torch.zeros(SIZE, dtype=torch.bool)
    segmenter, _, boxer, _ = wrapped({1: everything, 2: nothing})
    masks = segmenter._masks_instead(frames(1)[0], {1: everything, 2: BOX})
    assert masks[2].sum() == 1
    assert len(boxer.asked) == 1
