"""Which videos are held out for validation, and how many: plain values, used as defaults."""

from __future__ import annotations

YOUTUBE_VOS_HOLD_OUT = 300
"""Of LWL and A-GAME: 300 of the 3,471 videos of the training split."""
BALANCED_HOLD_OUTS = (100, 100)
"""Of e-OSVOS: two hold-outs, the categories as even as they can be."""
DAVIS16_HOLD_OUT = (
    "breakdance-flare",
    "car-turn",
    "hockey",
    "horsejump-low",
    "lucia",
    "scooter-gray",
)
"""Of DAVIS-2016 train: what the small LWL and A-GAME are tuned on, chosen before the first run."""
SMALL_HOLD_OUT_REAL = (*DAVIS16_HOLD_OUT, "schoolgirls_432x240")
"""Real half of ``SMALL_HOLD_OUT``: DAVIS training sequences, the last one with seven objects."""
SMALL_HOLD_OUT_RENDERED = (
    *("render_all_003", "render_all_064", "render_all_067", "render_all_069", "render_all_092"),
    *("render_all_102", "render_ycb_003", "render_ycb_015"),
)
"""Rendered half of ``SMALL_HOLD_OUT``: objects that leave and return, and copies of one object."""
SMALL_HOLD_OUT = (*SMALL_HOLD_OUT_REAL, *SMALL_HOLD_OUT_RENDERED)
"""Clips that no small model is trained on; every choice between small models is made on them."""
