"""An agent with a home, a log folder and an output, to be run, killed, broken and run again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from launcher import quick, switched_off
from oracle import appended, stored
from waiting import wait_for

from shipper.agent import Agent
from shipper.settings import from_mapping

LAUNCHER = Path(__file__).with_name("launcher.py")
MULTILINE = {"pattern": "^[0-9]{8} ", "negate": True, "match": "after", "timeout": "300ms"}
"""What ``writer.Log`` writes: every event begins with its number."""


class Shipper:
    """``shipper run`` on ``folder/logs/*`` with the state in ``folder/home``; ``output`` is ``store``, ``file`` or settings.

    ``read`` gives the documents where the output is neither.
    """

    def __init__(
        self,
        folder: Path,
        output: str | dict[str, Any] = "store",
        *,
        paths: str = "app.log*",
        read: Callable[[], list[dict]] | None = None,
        more: dict[str, Any] | None = None,
        **inputs: Any,
    ) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.repeats = output == "file"
        outputs: dict[str, Any] = {
            "store": {"output.store.bulk_max_bytes": "16KiB"},
            "file": {"output.file": {"path": str(folder / "out"), "bulk_max_bytes": "16KiB"}},
        }
        one = {
            "type": "filestream",
            "paths": [f"{self.logs}/{paths}"],
            "multiline": MULTILINE,
            "scan_frequency": "100ms",
            **inputs,
        }
        chosen = outputs[output] if isinstance(output, str) else output
        self.settings = {"inputs": [one], "queue.mem.bytes": "64KiB", "host.id": "host", **chosen, **(more or {})}
        readers = {
            "store": lambda: stored(self.home / "store"),
            "file": lambda: appended(folder / "out/shipper.ndjson"),
        }
        self.documents = read or readers[output]  # type: ignore[index] - a string where there is no reader
        self.errors = ""

    # --- in a process of its own -----------------------------------------------------------------------------------

    def once(self, *, seconds: float = 100, patience: float = 30, **plan: Any) -> int:
        """Run until everything is shipped; the exit code, ``-SIGKILL`` where it was killed. ``errors`` is what it said."""
        process = self._start(plan, "--once", "--patience", str(patience))
        try:
            _, said = process.communicate(timeout=seconds)
        finally:
            process.kill()
            process.stderr.close()
        self.errors = said.decode()
        return process.returncode

    def ends_well(self) -> None:
        """Run once more, unbroken: it must say that everything is delivered."""
        assert self.once() == 0, self.errors

    def peak(self, *, seconds: float = 100, **plan: Any) -> int:
        """Run once, which has to end well; the most memory that it had, in MiB."""
        noted = self.folder / "peak"
        assert self.once(seconds=seconds, peak=str(noted), **plan) == 0, self.errors
        return int(noted.read_text()) >> 10

    @contextmanager
    def following(self, **plan: Any) -> Iterator[subprocess.Popen]:
        """Run in the background until the block ends; then it is asked to stop, and has to."""
        process = self._start(plan)
        try:
            yield process
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
            self.errors = said.decode()
        finally:
            process.kill()
            process.wait()
            process.stderr.close()

    def _start(self, plan: dict[str, Any], *arguments: str) -> subprocess.Popen:
        settings = self.folder / "shipper.yml"
        settings.write_text(json.dumps(self.settings))  # which YAML contains
        command = [sys.executable, str(LAUNCHER), json.dumps(plan)]
        environment = {**os.environ, "SHIPPER_HOME": str(self.home), **plan.get("environment", {})}
        return subprocess.Popen(
            [*command, "run", "-c", str(settings), *arguments], env=environment, stderr=subprocess.PIPE
        )

    # --- in this process -------------------------------------------------------------------------------------------

    @contextmanager
    def inside(self, *, off: str = "", once: bool = False, patience: float = 30.0) -> Iterator[Agent]:
        """Run in a thread of this process until the block ends (with ``once``: until it is done), then let it end."""
        with (
            quick(),
            switched_off(off),
            Agent(from_mapping(self.settings, env={"SHIPPER_HOME": str(self.home)})) as agent,
        ):
            failures: list[BaseException] = []

            def run() -> None:
                try:
                    agent.run(once=once, patience=patience)
                except BaseException as error:  # noqa: BLE001 - raised below
                    failures.append(error)

            thread = threading.Thread(target=run)
            thread.start()
            try:
                yield agent
            finally:
                if not once:
                    agent.stop()
                thread.join(patience + 60)
            assert not thread.is_alive()
            if failures:
                raise failures[0]

    def inside_once(self, *, off: str = "", patience: float = 30.0) -> bool:
        """Run once in this process; whether everything is delivered."""
        with (
            quick(),
            switched_off(off),
            Agent(from_mapping(self.settings, env={"SHIPPER_HOME": str(self.home)})) as agent,
        ):
            return agent.run(once=True, patience=patience)

    def wait_for(self, events: list[str], seconds: float = 60) -> None:
        """Wait until as many documents have arrived as there are events."""
        wait_for(lambda: len(self.documents()) >= len(events), f"{len(events)} documents", seconds)


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A tmpfs of its own, for the faults of disks; needs root. Raises ``OSError`` where it cannot be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="small-disk-"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        if not shutil.which("mount") or subprocess.run(command, check=False, capture_output=True).returncode:
            raise OSError("a tmpfs cannot be mounted here")
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)
        folder.rmdir()
