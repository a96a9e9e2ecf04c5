"""Names and numbers of videos held out for validation, as default values of settings."""

from __future__ import annotations

YOUTUBE_VOS_HOLD_OUT = 300
"""Number of videos held out for LWL and A-GAME, of the 3,471 videos of the training split."""
BALANCED_HOLD_OUTS = (100, 100)
"""Sizes of the two hold-outs of e-OSVOS, in which all categories are as frequent as possible."""
DAVIS16_HOLD_OUT = (
    "breakdance-flare",
    "car-turn",
    "hockey",
    "horsejump-low",
    "lucia",
    "scooter-gray",
)
"""Videos of DAVIS 2016 train on which the small LWL and A-GAME are tuned; chosen before the first
run."""
SMALL_HOLD_OUT_REAL = (*DAVIS16_HOLD_OUT, "schoolgirls_432x240")
"""Real half of ``SMALL_HOLD_OUT``: DAVIS training videos, the last one with seven objects."""
SMALL_HOLD_OUT_RENDERED = (
    *("render_all_003", "render_all_064", "render_all_067", "render_all_069", "render_all_092"),
    *("render_all_102", "render_ycb_003", "render_ycb_015"),
)
"""Rendered half of ``SMALL_HOLD_OUT``: objects that leave and return, and copies of one object."""
SMALL_HOLD_OUT = (*SMALL_HOLD_OUT_REAL, *SMALL_HOLD_OUT_RENDERED)
"""Clips that no small model is trained on; all choices between small models are made on them."""
