"""The page offers all that the command line exports."""

from __future__ import annotations

from dataclasses import fields

import pytest

from maskcast.core.errors import ConfigError, UsageError
from maskcast.runs.export_settings import Exports
from maskcast.web.exports_list import (
    DENSITIES,
    FIXED_SIZES,
    FORMS,
    LABELS,
    OFFERS,
    OPTIONS,
    export_of,
)

OPTION_NAMES = {option.name for option in OPTIONS}


def test_every_setting_of_exports_is_offered_or_an_option():
    offered = {offer.setting for offer in OFFERS} - {LABELS}
    assert {f.name for f in fields(Exports)} == offered | OPTION_NAMES | {"merged"}


def test_every_form_is_offered_once():
    offered = [(offer.setting, offer.form) for offer in OFFERS if offer.form is not None]
    assert sorted(offered) == sorted((s, form) for s, forms in FORMS.items() for form in forms)
    assert len({(offer.group, offer.title) for offer in OFFERS}) == len(OFFERS)


def test_offers_name_known_options():
    assert {name for offer in OFFERS for name in offer.options} == OPTION_NAMES


def test_a_size_is_expected_of_every_export():
    assert {*DENSITIES, *FIXED_SIZES} == {offer.name for offer in OFFERS}
    assert DENSITIES.keys().isdisjoint(FIXED_SIZES)
    assert all(size > 0 for size in (*DENSITIES.values(), *FIXED_SIZES.values()))


def test_what_was_chosen_becomes_settings():
    names = ("overlay", "cutout:prores", "matte:png", "cutout:exr", "labels", "cutout:prores")
    asked = export_of(names, {"grow": -2, "feather": 1, "labels": "off"}, (3, 9))
    assert asked.wanted == Exports(
        overlay=True,
        cutout=("prores", "exr"),
        matte=("png",),
        grow=-2,
        feather=1.0,
        labels="off",
    )
    assert (asked.labels, asked.span) == (True, (3, 9))


def test_options_that_no_export_follows_are_left_out():
    options = {"grow": 3, "objects": "1", "merged": True, "start_number": None}
    assert export_of(["tracks"], options, None).wanted == Exports(tracks=True)
    assert export_of(["overlay"], {"start_number": 4}, None).wanted == Exports(overlay=True)


@pytest.mark.parametrize(
    ("names", "options"),
    [
        ([], {}),
        (["cutout"], {}),
        (["cutout:gif"], {}),
        (["overlay"], {"size": 3}),
        (["cutout:png"], {"feather": "1"}),
        (["cutout:png"], {"grow": 1.5}),
    ],
)
def test_what_is_not_offered_is_an_error(names, options):
    with pytest.raises(UsageError):
        export_of(names, options, None)


def test_values_outside_of_their_range_are_errors():
    with pytest.raises(ConfigError):
        export_of(["cutout:png"], {"grow": 1000}, None)
