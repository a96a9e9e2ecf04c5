"""Axes put values where they belong, and nothing that is written on a plot is taken for markup."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from maskcast.viz.plots import (
    COLOURS,
    Axis,
    colour_of_series,
    dot,
    element,
    line,
    polyline,
    svg,
    text,
)

printable = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff")
)


def test_an_axis_maps_its_ends_and_everything_between():
    y = Axis(0.5, 1.0, 260, 16)  # better scores are higher up
    assert [y.at(value) for value in (0.5, 0.75, 1.0, 1.25)] == [260, 138, 16, -106]


def test_a_logarithmic_axis_gives_every_factor_the_same_room():
    x = Axis(0.1, 10, 50, 450, logarithmic=True)
    assert [x.at(value) for value in (0.1, 1, 10)] == pytest.approx([50, 250, 450])


@pytest.mark.parametrize("logarithmic", [False, True])
def test_an_axis_without_extent_has_everything_at_its_start(logarithmic):
    assert Axis(3, 3, 50, 450, logarithmic).at(3) == 50


def test_labels_of_an_axis():
    left, right = ET.fromstring(svg(9, 9, Axis(1, 2, 50, 450).end_labels(7, ("1", "2"))))
    assert (left.text, left.attrib) == ("1", {"x": "50", "y": "7"})
    assert (right.text, right.get("x"), right.get("text-anchor")) == ("2", "450", "end")
    label = ET.fromstring(Axis(0, 1, 100, 0).value_label(30, 0.5, "half"))
    assert (label.text, label.get("y"), label.get("text-anchor")) == ("half", "54", "end")


def test_elements():
    assert dot((1.25, 2.0), 3, fill="red") == '<circle cx="1.2" cy="2" r="3" fill="red"/>'
    assert line((0, 1), (2, 3), class_="axis") == (
        '<line x1="0" x2="2" y1="1" y2="3" class="axis"/>'
    )
    assert polyline([(0, 1), (2.55, 3)], stroke_width=1.4) == (
        '<polyline points="0.0,1.0 2.5,3.0" fill="none" stroke-width="1.4"/>'
    )
    assert svg(4, 5, Markup("<g/>"), role="img") == '<svg viewBox="0 0 4 5" role="img"><g/></svg>'


@given(content=printable, value=printable)
def test_text_and_attributes_are_escaped(content, value):
    found = ET.fromstring(svg(1, 1, text(0, 0, content, id=value) + element("g", class_=value)))
    assert (found[0].text or "") == content
    if not any(character.isspace() for character in value):  # XML makes blanks of these
        assert found[0].get("id") == found[1].get("class") == value


def test_series_beyond_the_colours_begin_again():
    assert [colour_of_series(i) for i in (0, len(COLOURS))] == [COLOURS[0]] * 2
    assert len({colour_of_series(i) for i in range(len(COLOURS))}) == len(COLOURS)
