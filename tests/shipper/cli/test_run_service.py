"""``shipper run`` as a service manager sees it: a real process, real signals, a socket as systemd's."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.slow]

CANARY = "canary-8f2c-event-text"
SECRET = "canary-51d0-secret"


@pytest.fixture
def place(tmp_path):
    (tmp_path / "logs").mkdir()
    return tmp_path


def configure(place, **more):
    settings = {
        "path.data": f"{place}/data",
        "inputs": [{"id": "app", "paths": [f"{place}/logs/*.log"], "scan_frequency": "100ms"}],
        "output.file.path": f"{place}/out",
        "http": {"enabled": True, "port": 0},
        **more,
    }
    (place / "shipper.yml").write_text(json.dumps(settings), encoding="utf-8")


class Process:
    """The service, and what it has said."""

    def __init__(self, place, **env):
        self.said = []
        self.notified = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(place / "notify"))
        plain = {name: value for name, value in os.environ.items() if name not in {"SHIPPER_HOME", "SHIPPER_DEBUG"}}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "shipper", "run", "-c", str(place / "shipper.yml")],
            env={**plain, "NOTIFY_SOCKET": str(place / "notify"), "WATCHDOG_USEC": "600000", **env},
            stderr=subprocess.PIPE,
            text=True,
        )
        self._threads = [threading.Thread(target=self._listen, daemon=True), threading.Thread(target=self._read)]
        for thread in self._threads:
            thread.start()

    def _listen(self):
        while data := self._socket.recv(4096):
            self.notified.append(data.decode())

    def _read(self):
        for line in self.process.stderr:
            self.said.append(line.rstrip())

    def wait_for(self, condition, seconds=30.0):
        pause = threading.Event()
        for _ in range(int(seconds / 0.02)):
            if condition():
                return
            if self.process.poll() is not None:
                break
            pause.wait(0.02)
        raise AssertionError("\n".join(["it did not come about", *self.said]))

    def says(self, pattern):
        return any(re.search(pattern, line) for line in self.said)

    def get(self, path):
        [url] = [match[1] for line in self.said if (match := re.search(r"status at (\S+)/health", line))][-1:]
        try:
            with urlopen(url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self._threads[1].join(10)
        return code


@contextmanager
def service(place, **env):
    it = Process(place, **env)
    try:
        it.wait_for(lambda: it.notified)
        yield it
    finally:
        it.process.kill()
        it.process.wait()
        it._threads[1].join(10)
        it.process.stderr.close()


def shipped(place, folder="out"):
    path = place / folder / "shipper.ndjson"
    return [json.loads(line)["message"] for line in path.read_text().splitlines()] if path.exists() else []


def append(place, *lines, name="a.log"):
    with (place / "logs" / name).open("a") as log:
        log.write("".join(f"{line}\n" for line in lines))


def test_systemd_is_told_each_step_and_that_the_loop_turns(place):
    configure(place)
    append(place, "one")
    with service(place) as it:
        it.wait_for(lambda: shipped(place) == ["one"])
        it.wait_for(lambda: it.notified.count("WATCHDOG=1") >= 2)
        it.process.send_signal(signal.SIGHUP)
        it.wait_for(lambda: sum(each.startswith("READY=1") for each in it.notified) == 2)
        assert it.end() == 0
        states = [each.split("\n")[0] for each in it.notified if not each.startswith("WATCHDOG")]
    assert states == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]


def test_the_watchdog_is_fed_while_the_output_takes_nothing(place):
    configure(
        place,
        **{"output.file.path": "/proc/nowhere", "queue.mem.bytes": "64KiB", "output.file.bulk_max_bytes": "64KiB"},
    )
    append(place, *(f"{n} {'x' * 300}" for n in range(2000)))
    with service(place) as it:
        it.wait_for(lambda: it.says("trying again"))
        before = it.notified.count("WATCHDOG=1")
        it.wait_for(lambda: it.notified.count("WATCHDOG=1") > before + 2)


def test_settings_are_read_again_and_mistakes_change_nothing(place):
    configure(place)
    append(place, "one")
    with service(place) as it:
        it.wait_for(lambda: shipped(place) == ["one"])
        (place / "shipper.yml").write_text("inputs: [{paths: [/a], zebra: 1, horse: 2}]\n")
        it.process.send_signal(signal.SIGHUP)
        it.wait_for(lambda: it.says("settings that were in use before go on"))
        assert it.says(r"ERROR reload: .*shipper.yml:1: inputs\[0\].zebra: is not a setting")
        assert it.says(r"ERROR reload: .*shipper.yml:1: inputs\[0\].horse: is not a setting")
        it.wait_for(lambda: "settings: " in it.get("/health")[1])
        configure(place, **{"output.file.path": f"{place}/out2"})
        it.process.send_signal(signal.SIGHUP)
        it.wait_for(lambda: it.says("the new settings are in use"))
        append(place, "two")
        it.wait_for(lambda: shipped(place, "out2") == ["one", "two"])
        assert it.end() == 0
    assert shipped(place) == ["one"]


def test_health_and_metrics_say_what_is(place):
    configure(place)
    append(place, "one", "two")
    with service(place) as it:
        it.wait_for(lambda: "created" in it.get("/metrics")[1] and len(shipped(place)) == 2)
        it.wait_for(lambda: 'shipper_documents_total{outcome="created",output="file"} 2.0' in it.get("/metrics")[1])
        text = it.get("/metrics")[1]
        assert 'shipper_lag_bytes{input="app"} 0.0' in text
        assert 'shipper_events_total{input="app"} 2.0' in text
        assert "process_resident_memory_bytes" in text
        status, body = it.get("/health")
        assert (status, json.loads(body)["status"]) == (200, "ok")
        assert it.end() == 0


def test_a_second_instance_is_refused_with_the_folder_and_the_process(place):
    configure(place)
    with service(place) as it:
        plain = {name: value for name, value in os.environ.items() if name != "SHIPPER_HOME"}
        command = [sys.executable, "-m", "shipper", "run", "-c", str(place / "shipper.yml")]
        second = subprocess.run(command, env=plain, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 1
        assert f"{place}/data is in use by another shipper (process {it.process.pid})" in second.stderr
        assert it.process.poll() is None


def test_a_status_port_that_is_taken_is_an_error_at_the_start(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        configure(place, http={"enabled": True, "port": taken.getsockname()[1]})
        command = [sys.executable, "-m", "shipper", "run", "-c", str(place / "shipper.yml")]
        plain = {name: value for name, value in os.environ.items() if name != "SHIPPER_HOME"}
        done = subprocess.run(command, env=plain, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert re.search(r"shipper: http.port: 127.0.0.1:\d+ cannot be used \(address already in use\)", done.stderr)


class Refusing:
    """A stand-in for Elasticsearch that quotes what it was sent, as the real one does in its reasons."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.answers = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with connection:
            stream = connection.makefile("rwb")
            while line := stream.readline():
                length = 0
                while (header := stream.readline()) not in {b"\r\n", b""}:
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.split(b":")[1])
                body = stream.read(length)
                self._reply(stream, line, body)

    def _reply(self, stream, line, body):
        reason = f"failed to parse field [message] of value '{CANARY}'"
        denied = f"unable to authenticate with {SECRET}"
        if b"_bulk" not in line:
            status, document = (
                200,
                {"version": {"number": "9.0.0", "build_flavor": "default"}, "tagline": "You Know, for Search"},
            )
        else:
            self.answers += 1
            kinds = [
                (401, {"error": {"type": "security_exception", "reason": denied}, "status": 401}),
                (403, {"error": {"type": "security_exception", "reason": denied}, "status": 403}),
                (500, {"error": {"type": "x", "reason": reason}, "status": 500}),
                (429, {"error": {"type": "es_rejected_execution_exception", "reason": reason}, "status": 429}),
                (200, {"items": [], "errors": False, "took": 1, "x": reason}),
            ]
            if self.answers <= len(kinds):
                status, document = kinds[self.answers - 1]
            else:
                items = [
                    {
                        "create": {
                            "_id": "x",
                            "status": 400,
                            "error": {"type": "document_parsing_exception", "reason": reason},
                        }
                    }
                    for _ in range(body.count(b"\n") // 2)
                ]
                status, document = 200, {"items": items, "errors": True, "took": 1}
        data = json.dumps(document).encode()
        head = f"HTTP/1.1 {status} X\r\nX-Elastic-Product: Elasticsearch\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        stream.write(head.encode() + data)
        stream.flush()

    def close(self):
        self._socket.close()


def test_the_log_never_holds_event_text_or_secrets(place):
    """Through refusals that quote both, lines that no pattern takes, and mistakes in settings that hold secrets."""
    server = Refusing()
    (place / "password").write_text(SECRET)
    (place / "password").chmod(0o600)
    output = {
        "hosts": f"http://127.0.0.1:{server.port}",
        "index": "logs-x",
        "username": "u",
        "password": f"${{file:{place}/password}}",
        "backoff": {"init": "20ms", "max": "50ms"},
    }
    more = {"inputs": [{"paths": [f"{place}/logs/*.log"], "pipeline": "spring-boot", "scan_frequency": "100ms"}]}
    configure(place, **more, **{"output.elasticsearch": output})
    settings = json.loads((place / "shipper.yml").read_text())
    del settings["output.file.path"]
    (place / "shipper.yml").write_text(json.dumps(settings))
    append(place, f"{CANARY} no spring", f"2024-11-21T10:15:30.123+01:00  INFO 42 --- [main] a.B : {CANARY}")
    with service(place) as it:
        it.wait_for(lambda: server.answers > 5 and it.says("rejects documents"))
        (place / "shipper.yml").write_text(
            json.dumps({**settings, "output.elasticsearch": {**output, "worker": f"${{file:{place}/password}}"}})
        )
        it.process.send_signal(signal.SIGHUP)
        it.wait_for(lambda: it.says("before go on"))
        status = it.get("/health")[1] + it.get("/metrics")[1]
        it.end()
        said = "\n".join(it.said)
    server.close()
    assert CANARY not in said + status
    assert SECRET not in said + status
    assert len(it.said) < 25, "each trouble is said once"
