"""The clip of the demo: repeatable, with masks that fit its fish."""

from __future__ import annotations

import numpy as np

from maskcast.data.synthetic.demo import make_demo_clip


def test_the_demonstration_repeats_itself_and_shows_both_fish_whole_at_first():
    first, again = (make_demo_clip(frames=2, size=(96, 160)) for _ in range(2))
    assert np.array_equal(first.frames, again.frames)
    assert first.ids == (1, 2)
    for object_id in first.ids:
        shown = first.label_maps[0] == object_id
        assert shown.sum() > 0.02 * shown.size
    # the look-alike and the pads are background: no third id
    assert set(np.unique(first.label_maps)) == {0, 1, 2}


def test_the_fish_of_the_demonstration_are_where_their_masks_say():
    clip = make_demo_clip(frames=1, size=(135, 240))
    frame = clip.frames[0].astype(int)
    warmth = frame[..., 0] - frame[..., 2]
    for object_id in clip.ids:
        inside = clip.label_maps[0] == object_id
        assert warmth[inside].mean() > warmth[clip.label_maps[0] == 0].mean() + 30
