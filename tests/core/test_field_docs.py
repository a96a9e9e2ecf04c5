"""Docstrings under fields, of nested and inherited classes too."""

from __future__ import annotations

from dataclasses import dataclass

from maskcast.core.field_docs import descriptions_of


@dataclass
class Base:
    size: int = 1
    """Side of a thing,
    in pixels."""
    silent: int = 2


@dataclass
class Derived(Base):
    size: int = 3
    """Side of another thing."""

    @dataclass
    class Inner:
        rate: float = 0.5
        """Share per frame."""


def test_lines_are_joined_and_fields_without_a_text_left_out():
    assert descriptions_of(Base) == {"size": "Side of a thing, in pixels."}


def test_a_derived_class_has_the_last_word():
    assert descriptions_of(Derived) == {"size": "Side of another thing."}


def test_nested_and_local_classes():
    @dataclass
    class Local:
        count: int = 0
        """How many."""

    assert descriptions_of(Derived.Inner) == {"rate": "Share per frame."}
    assert descriptions_of(Local) == {"count": "How many."}


def test_without_a_source_there_are_none(monkeypatch):
    monkeypatch.setattr(Base, "__module__", "of_no_file")
    assert descriptions_of(Base) == {}
