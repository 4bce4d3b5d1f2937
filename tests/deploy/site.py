"""Files over HTTP on loopback, and an index of Python packages (PEP 503) made of them."""

from __future__ import annotations

import functools
import re
import shutil
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def publish(folder: Path, wheels: Iterable[Path]) -> None:
    """Wheels in ``folder/packages``, and an index of them in ``folder/simple/``."""
    (folder / "packages").mkdir(parents=True)
    for each in wheels:
        shutil.copy(each, folder / "packages")
        page = folder / "simple" / re.sub(r"[-_.]+", "-", each.name.split("-")[0]).lower() / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f'<!DOCTYPE html><a href="../../packages/{each.name}">{each.name}</a>')


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Nothing of each request."""


@contextmanager
def serving(folder: Path) -> Iterator[int]:
    """The port at which ``folder`` is served until the end of the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
