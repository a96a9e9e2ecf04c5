"""Fetch a file from a path, an http(s) URL or Google Drive, verify it, and write it atomically."""

from __future__ import annotations

import hashlib
import http.client
import io
import re
import ssl
import string
import time
import urllib.error
import urllib.parse
import urllib.request
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from pathlib import Path

from maskcast.core.errors import MissingFileError, WeightsError
from maskcast.core.files import replacing, with_home
from maskcast.core.progress import Progress

DRIVE = "https://drive.usercontent.google.com/download"
_DRIVE_ID = re.compile(r"[A-Za-z0-9_-]{20,}")
_CHUNK = 2**18
_LARGEST_FILE = 2**33
"""Maximum size of a download in bytes; the authors' files have less than a twentieth of it."""
_SLOWEST = 500
"""Bytes per second, averaged from the start, below which a download is given up after a minute."""
_LARGEST_PAGE = 2**20
_TIMEOUT = 60.0
_NETWORK_FAULTS = (
    urllib.error.URLError,
    http.client.HTTPException,
    TimeoutError,
    ConnectionError,
    ssl.SSLError,
    ValueError,
    OverflowError,
)
"""Exceptions of opening a URL and reading from it; errors of the disk are not among them.

The last two are raised for impossible host names, ports and lengths of chunks.
"""


def download(
    source: str | Path,
    target: Path,
    *,
    sha256: str | None = None,
    progress: Progress | None = None,
    drive: str = DRIVE,
) -> str:
    """Copy ``source`` to ``target`` and return its SHA-256; a failure leaves no file behind.

    Args:
        source: a path, an http(s) URL, ``drive:ID``, or a bare Google Drive id.
        target: the file to write.
        sha256: expected SHA-256 of the file, if known.
        progress: called after every chunk; its total is the size that the server declares, if any.
        drive: URL that serves Google Drive files, for tests.

    Raises:
        MissingFileError: the path does not exist.
        WeightsError: the server returns an error or a web page instead of the file, the transfer is
            incomplete, or the hash differs.
        OutputError: ``target`` cannot be written.
    """
    text = str(source)
    with replacing(target, sync=True) as temporary, temporary.open("wb") as file:
        if not isinstance(source, Path) and is_url(text):  # which may be too long for a path
            digest = _fetch(text, file, progress, _opener())
        elif isinstance(source, Path) or with_home(text).is_file():
            digest = _copy_file(with_home(text), file, progress)
        elif drive_id := _drive_id(text):
            digest = _fetch_from_drive(drive, drive_id, file, progress)
        else:
            raise MissingFileError(
                f"{text} is neither an existing file, nor a URL (http, https), nor the id of a "
                "file on Google Drive",
                options=("source",),
            )
        if sha256 is not None and digest != sha256.lower():
            raise WeightsError(
                f"{text} is not the expected file: its SHA-256 is {digest}, not {sha256.lower()}; "
                "nothing was saved",
                options=("sha256",),
            )
    return digest


def is_url(text: str) -> bool:
    """Return whether a source is an http(s) URL."""
    return text.lower().startswith(("http://", "https://"))


def _drive_id(text: str) -> str | None:
    bare = text.removeprefix("drive:")
    return bare if _DRIVE_ID.fullmatch(bare) else None


def _copy_file(path: Path, file: io.BufferedIOBase, progress: Progress | None) -> str:
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist")
    with path.open("rb") as source:
        return _copy(source, file, path.stat().st_size, progress)


def _copy(
    source: io.BufferedIOBase,
    file: io.BufferedIOBase,
    size: int | None,
    progress: Progress | None,
    *,
    head: bytes = b"",
    largest: int | None = None,
) -> str:
    """Copy what was read already and the rest, and return the SHA-256 of both."""
    largest = _LARGEST_FILE if largest is None else largest
    digest = hashlib.sha256()
    done, began = 0, time.monotonic()
    while chunk := head or source.read1(_CHUNK):
        head = b""
        file.write(chunk)
        digest.update(chunk)
        done += len(chunk)
        if done > largest:
            raise WeightsError(f"download failed: more than {largest} bytes were sent")
        if (took := time.monotonic() - began) > _TIMEOUT and done < _SLOWEST * took:
            raise TimeoutError(f"only {done} bytes in {took:.0f} seconds")
        if progress is not None:
            progress("download", done, size)
    if size is not None and done != size:
        raise http.client.IncompleteRead(b"", size - done)
    return digest.hexdigest()


def _fetch(
    address: str,
    file: io.BufferedIOBase,
    progress: Progress | None,
    opener: urllib.request.OpenerDirector,
) -> str:
    """Download a URL to ``file``; a web page is an error."""
    try:
        with opener.open(_request(address), timeout=_TIMEOUT) as response:
            head = response.read1(_CHUNK)
            if _is_page(response, head):
                raise WeightsError(
                    f"download failed: {address} returned a web page instead of a file; download "
                    "the file in a browser and give its path"
                )
            length = None if response.length is None else response.length + len(head)
            return _copy(response, file, length, progress, head=head)
    except WeightsError:
        raise
    except urllib.error.HTTPError as error:
        raise WeightsError(
            f"download failed: {address} returned {error.code} {error.reason}"
        ) from error
    except http.client.IncompleteRead as error:
        raise WeightsError(
            f"download failed: {address} closed the connection too early; try again"
        ) from error
    except _NETWORK_FAULTS as error:
        raise WeightsError(f"download failed: cannot reach {address}: {_reason(error)}") from error


def _fetch_from_drive(
    drive: str, drive_id: str, file: io.BufferedIOBase, progress: Progress | None
) -> str:
    """Download from Google Drive, which asks to confirm large files with a form on a web page."""
    opener = _opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    query = urllib.parse.urlencode({"id": drive_id, "export": "download"})
    address = f"{drive}?{query}"
    page = _page_at(address, opener)
    if page is not None:
        form = _DriveForm()
        form.feed(page)
        if not form.fields:
            raise WeightsError(
                f"download failed: Google Drive returned a web page instead of file {drive_id}, "
                "which is missing, private, or over its quota; download the file in a browser and "
                "give its path"
            )
        action = urllib.parse.urljoin(address, form.action or drive)
        address = f"{action}?{urllib.parse.urlencode(form.fields)}"
    return _fetch(address, file, progress, opener)


def _page_at(address: str, opener: urllib.request.OpenerDirector) -> str | None:
    """Return the web page at a URL, or None if the URL serves a file."""
    try:
        with opener.open(_request(address), timeout=_TIMEOUT) as response:
            head = response.read1(_CHUNK)
            if not _is_page(response, head):
                return None
            page = io.BytesIO()
            _copy(response, page, None, None, head=head, largest=_LARGEST_PAGE)
            return page.getvalue().decode("utf-8", "replace")
    except WeightsError:
        raise
    except _NETWORK_FAULTS as error:
        raise WeightsError(
            f"download failed: cannot reach Google Drive: {_reason(error)}"
        ) from error


def _opener(*more: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    """Return an opener for http and https only, so that redirects cannot name files or FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        *more,
    ):
        opener.add_handler(handler)
    return opener


def _reason(error: Exception) -> object:
    return getattr(error, "reason", error)  # URLError wraps its cause


def _is_page(response: http.client.HTTPResponse, head: bytes) -> bool:
    declared = "text/html" in response.headers.get("Content-Type", "")
    return declared or head.lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _request(address: str) -> urllib.request.Request:
    in_ascii = urllib.parse.quote(address, safe=string.punctuation)
    try:
        return urllib.request.Request(in_ascii, headers={"User-Agent": "maskcast"})
    except ValueError as error:
        raise WeightsError(f"invalid URL {address}: {error}") from error


class _DriveForm(HTMLParser):
    """The hidden fields and the target URL of Google Drive's confirmation form."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = attributes.get("action", "")
        if tag == "input" and attributes.get("type") == "hidden" and "name" in attributes:
            self.fields[attributes["name"]] = attributes.get("value", "")
