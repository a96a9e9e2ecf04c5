"""Serve the browser application: one server, one token, two worker processes. Imports no torch."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import tempfile
import time
import webbrowser
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from maskcast.core.errors import MaskcastError, MissingFileError, OutputError, UsageError
from maskcast.runs.layout import CARD
from maskcast.web.folders import RootFolder
from maskcast.web.frame_cache import cache_folder
from maskcast.web.guard import Allowed, Guard, allowed_hosts
from maskcast.web.messages import SegmenterChoice, WorkerError
from maskcast.web.opening import find_run
from maskcast.web.routes import application
from maskcast.web.session import Session, ToOpen
from maskcast.web.uploads import LARGEST

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_REQUESTS = 64
"""Maximum number of concurrent requests; others get status 503."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Options of the server."""

    video: Path | None = None
    """A video, a folder of frames, or a run folder; None lets the user choose on the page."""
    output: Path | None = None
    """The run folder; None creates one below the root."""
    root: Path = field(default_factory=Path)
    """The folder from which the page may open files."""
    segmenter: SegmenterChoice = field(default_factory=SegmenterChoice)
    host: str = "127.0.0.1"
    port: int = 0
    """Port to listen on; 0 chooses a free one."""
    allow_network: bool = False
    """Whether ``host`` may be a non-loopback address."""
    allow_hosts: tuple[str, ...] = ()
    """Additional host names of the server."""
    most_upload: int = LARGEST
    """Maximum size of an upload in bytes."""
    browser: bool = True
    """Whether to open a browser."""


def serve(options: ServeOptions, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C.

    Args:
        options: options of the server.
        say: prints a line on the terminal.

    Raises:
        UsageError: an option is invalid, or the address is in use.
        MissingFileError: the video does not exist.
    """
    if options.host not in LOOPBACK and not options.allow_network:
        raise UsageError(
            f"{options.host} is reachable from other machines, and traffic is not encrypted; use "
            "ssh -L instead, or allow it",
            options=("host", "allow_network"),
        )
    if not options.root.is_dir():
        raise MissingFileError(f"{options.root} is not a folder", options=("root",))
    session = Session(RootFolder(options.root), options.segmenter)
    asked = None if options.video is None else _named(session, options)
    os.umask(0o077)
    token = secrets.token_urlsafe(32)
    listener = _listen(options)
    port = listener.getsockname()[1]
    shown = f"[{options.host}]" if ":" in options.host else options.host
    names = (*options.allow_hosts, shown)
    named = None if asked is None else asked.video
    app = application(session, named=named, most_upload=options.most_upload)
    app.router.lifespan_context = _lifespan(session, asked)
    guarded = Guard(app, Allowed(token=token, hosts=allowed_hosts(names, port)))
    address = f"http://{shown}:{port}/#token={token}"
    say(f"open {address}")
    say("press Ctrl-C to stop; everything is saved as you work")
    if options.host not in LOOPBACK:
        say(
            "traffic is not encrypted; safer: start it on loopback and use "
            f"ssh -L {port}:127.0.0.1:{port} HOST"
        )
    with _logged(say), _shown_in_browser(address, wanted=options.browser):
        _run(guarded, listener, session)


def _named(session: Session, options: ServeOptions) -> ToOpen:
    """Return the project given on the command line. Raises ``MaskcastError``."""
    video = options.video
    assert video is not None
    if not video.exists():
        raise MissingFileError(f"{video} does not exist", options=("video",))
    if (video / CARD).is_file():
        run, video = video, session.root.video_of(video, None, anywhere=True)
    else:
        run = options.output or find_run(session, video)
    return ToOpen(video=video.absolute(), run=run.absolute(), segmenter=options.segmenter)


def _listen(options: ServeOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
        listener.listen(MOST_REQUESTS)  # so that the printed address answers, even if late
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot listen on {options.host}:{options.port}: {reason}", options=("host", "port")
        ) from error
    return listener


def _lifespan(session: Session, asked: ToOpen | None) -> Any:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(session.shut_down)
            if asked is not None:
                session.later(_open(session, asked))
            yield

    return lifespan


async def _open(session: Session, asked: ToOpen) -> None:
    try:
        await session.open(asked)
    except (MaskcastError, WorkerError) as error:
        logger.warning("cannot open %s: %s", asked.video.name, error)
        raise


class _Server(uvicorn.Server):
    """Closes the event streams when it is stopped, because it would wait for them otherwise."""

    session: Session

    def handle_exit(self, sig: int, frame: Any) -> None:
        asyncio.get_running_loop().call_soon_threadsafe(self.session.events.close)
        super().handle_exit(sig, frame)


def _run(app: Any, listener: socket.socket, session: Session) -> None:
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_REQUESTS,
        timeout_graceful_shutdown=5,
    )
    server = _Server(config)
    server.session = session
    with suppress(KeyboardInterrupt):  # uvicorn raises the signal again that has stopped it
        server.run(sockets=[listener])


@contextmanager
def _logged(say: Callable[[str], None]) -> Iterator[None]:
    """Log errors of the server to a file, whose name is printed at the first error."""
    path = (
        cache_folder().parent / "logs" / f"app-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot create {path.parent}: {error.strerror}") from error
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    handler.setLevel(logging.WARNING)
    root = logging.getLogger()
    root.addHandler(handler)
    say(f"errors are logged in {path}")
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


@contextmanager
def _shown_in_browser(address: str, *, wanted: bool) -> Iterator[None]:
    """Open the browser through a private file, so that the list of processes lacks the token."""
    if not wanted:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="maskcast-") as folder:
        page = Path(folder) / "open.html"
        page.touch(mode=0o600)
        page.write_text(
            f'<!doctype html><meta http-equiv="refresh" content="0; url={address}">'
            "<title>maskcast</title>"
        )
        with suppress(webbrowser.Error):
            webbrowser.open(page.as_uri())
        yield
