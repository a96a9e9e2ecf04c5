"""Addresses of files in object stores, and which of them are accepted. Imports no torch.

Query strings and user names in addresses are keys, so they are never part of a text that is shown
or written.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from maskcast.core.errors import DataError
from maskcast.core.numbers import shortened

PROTOCOLS = frozenset(("s3", "gs", "az"))
"""Protocols of object stores that are always accepted; ``file`` addresses become paths."""
ON_REQUEST = frozenset(("https",))
"""Protocols that are accepted only if the user allows them."""
_PARTS = re.compile(
    r"(?P<protocol>[a-z][a-z0-9+.-]*)://(?P<user>[^/?#]*@)?(?P<path>[^?#]*)(?P<query>[?#].*)?",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, order=True)
class Url:
    """The address of a file or a folder in an object store; ``str`` leaves out its keys."""

    text: str = field(repr=False)

    def __str__(self) -> str:
        match = _PARTS.fullmatch(self.text)
        return f"{match['protocol'].lower()}://{match['path']}" if match else ""

    def __repr__(self) -> str:
        return f"Url({str(self)!r})"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return posixpath.basename(str(self).rstrip("/"))

    @property
    def parent(self) -> Url:
        """The address of the folder; without keys."""
        return Url(str(self).rstrip("/").rpartition("/")[0])

    def joined(self, inner: str) -> Url:
        """Return the address of a file below this folder; ``inner`` may contain ``..``."""
        protocol, _, path = str(self).partition("://")
        return Url(f"{protocol}://{posixpath.normpath(f'{path}/{inner}')}")

    def is_relative_to(self, folder: Url) -> bool:
        """Return whether this is the address of something in a folder."""
        return str(self).startswith(str(folder).rstrip("/") + "/")


Location: TypeAlias = Path | Url
"""Where a file or a folder is."""


def is_address(text: str) -> bool:
    """Return whether a text is an address rather than a path."""
    return re.match(r"[a-z][a-z0-9+.-]*:(//|:)", text, re.IGNORECASE) is not None


def location_of(text: str, *, allowed: Collection[str] = ()) -> Location:
    """Return the location that a text names.

    Args:
        text: a path or an address.
        allowed: protocols of ``ON_REQUEST`` that the user allows.

    Raises:
        DataError: the address has another protocol, or is a chain of them.
    """
    if not is_address(text):
        return Path(text)
    url = Url(text)
    match = _PARTS.fullmatch(text)
    protocol = match["protocol"].lower() if match else ""
    accepted = PROTOCOLS | (ON_REQUEST & set(allowed))
    if match is None or "::" in text.partition("?")[0]:
        raise DataError("chained addresses are not supported")
    if protocol == "file":
        return Path(match["path"])
    if protocol not in accepted:
        names = ", ".join(sorted({"file", *accepted}))
        raise DataError(f"addresses of {shortened(protocol)} are not accepted, only {names}")
    if ".." in match["path"].split("/") or not match["path"].strip("/"):
        raise DataError(f"the address {shortened(str(url), 80)} has no path, or one with ..")
    return url


def without_keys(text: str, *urls: Url) -> str:
    """Return a message without the keys of addresses."""
    for url in urls:
        text = text.replace(url.text, str(url))
    text = re.sub(r"(://)[^/@\s'\"]*@", r"\1", text)
    return re.sub(r"(://[^\s?'\"]*)\?[^\s'\"]*", r"\1", text)
