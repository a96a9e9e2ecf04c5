"""Addresses: which are accepted, and that their keys are never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskcast.batch.addresses import Url, is_address, location_of, without_keys
from maskcast.core.errors import DataError

SIGNED = "https://user:secret@host/in/a.mp4?X-Amz-Signature=secret#secret"


def test_keys_are_not_part_of_what_is_shown():
    url = location_of(SIGNED, allowed=["https"])
    assert isinstance(url, Url)
    assert url.text == SIGNED  # the worker needs them
    assert (str(url), repr(url)) == ("https://host/in/a.mp4", "Url('https://host/in/a.mp4')")
    for text in (url.name, str(url.parent), str(url.joined("b")), f"{url}", f"{url!r}"):
        assert "secret" not in text
    message = f"Forbidden: {SIGNED} and https://u:secret@h/x?secret=1, s3://b/a?secret"
    assert "secret" not in without_keys(message, url)
    assert "secret" not in without_keys(message)
    assert without_keys("cannot open 's3://b/a?k=1' (403)") == "cannot open 's3://b/a' (403)"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://host/a.mp4", "addresses of https are not accepted, only az, file, gs, s3"),
        ("http://host/a.mp4", "addresses of http are not accepted"),
        ("ftp://host/a", "addresses of ftp are not accepted"),
        ("filecache::s3://b/a", "chained addresses"),
        ("zip://a.mp4::s3://b/a.zip", "chained addresses"),
        ("s3://b/../c", "no path, or one with .."),
        ("s3://", "no path, or one with .."),
    ],
)
def test_other_addresses_are_rejected(text, words):
    with pytest.raises(DataError, match=words):
        location_of(text)


def test_paths_and_addresses_of_files_are_paths():
    assert location_of("in/a.mp4") == Path("in/a.mp4")
    assert location_of("file:///in/a.mp4") == Path("/in/a.mp4")
    assert not is_address("C:\\a.mp4")
    assert not is_address("a:b.mp4")


def test_places_inside_one_another():
    folder = Url("s3://b/in")
    assert folder.joined("x/a.mp4") == Url("s3://b/in/x/a.mp4")
    assert folder.joined("x/a.mp4").is_relative_to(folder)
    assert not folder.joined("../a.mp4").is_relative_to(folder)
    assert not Url("s3://b/inside").is_relative_to(folder)
    assert (Url("s3://b/in/").name, str(Url("s3://b/in/a").parent)) == ("in", "s3://b/in")
