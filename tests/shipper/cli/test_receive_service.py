"""``shipper receive`` as a service manager sees it: a real process, real signals, a real client."""

import contextlib
import json
import re
import signal
import subprocess
import sys
from urllib.request import urlopen

import pytest

from shipper.lumberjack import frames
from shipper.lumberjack.client import Connection

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def receiver(tmp_path, **more):
    settings = {
        "path.data": f"{tmp_path}/data",
        "receive": {"host": "127.0.0.1:0", "pipeline": "spring-boot"},
        "output.file.path": f"{tmp_path}/out",
        "http": {"enabled": True, "port": 0},
        **more,
    }
    path = tmp_path / "shipper.yml"
    path.write_text(json.dumps(settings), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "shipper", "receive", "-c", str(path)], stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)


def line_with(process, text):
    for line in process.stderr:
        if text in line:
            return line
    raise AssertionError(text)


def page(url):
    with urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def test_health_metrics_hangup_and_the_end(tmp_path):
    with receiver(tmp_path) as process:
        status = re.search(r"http://\S+/", line_with(process, "status at"))[0]
        port = int(re.search(r"127\.0\.0\.1:(\d+)", line_with(process, "listening on"))[1])
        with contextlib.closing(Connection(("127.0.0.1", port), timeout=10)) as client:
            client.send(frames.window([b'{"message":"not of Spring"}', b'{"message":"neither"}']), 2)
            done = 0
            while done < 2:
                done += client.acknowledged()
            health, metrics = {}, ""
            while "shipper_received_events_total 2.0" not in metrics or health.get("status") != "ok":
                health, metrics = json.loads(page(f"{status}health")), page(f"{status}metrics")
            assert health["output"] == "file"
            while 'shipper_documents_total{outcome="created",output="file"} 2.0' not in metrics:
                metrics = page(f"{status}metrics")
            assert "shipper_clients 1.0" in metrics
            failed = (
                r'shipper_parse_failures_total\{input="receive",pipeline="spring-boot",tag="_grokparsefailure"\} 2\.0'
            )
            assert re.search(failed, metrics)
        process.send_signal(signal.SIGHUP)
        assert "restart to use new ones" in line_with(process, "SIGHUP")
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert "2 documents delivered" in line_with(process, "stopped")
        assert process.wait(20) == 0


def test_a_status_port_that_is_taken(tmp_path):
    with receiver(tmp_path) as first:
        port = int(re.search(r":(\d+)/", line_with(first, "status at"))[1])
        more = ["-E", f"http.port={port}", "-E", f"path.data={tmp_path}/other"]
        done = subprocess.run(
            [sys.executable, "-m", "shipper", "receive", "-c", str(tmp_path / "shipper.yml"), *more],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert f"http.port: 127.0.0.1:{port} cannot be used" in done.stderr
        assert "Traceback" not in done.stderr
