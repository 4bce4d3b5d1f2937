"""``scripts/demo`` is the first thing that a newcomer sees."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def demo(tmp_path):
    """Run it with the environment of these tests, in a folder of the test's own."""
    if not any(Path(sys.prefix, stamp).exists() for stamp in (".installed", ".installed-dev")):
        pytest.skip("this environment was not made by scripts/test, and the demo would install into it")

    def run():
        settings = {"SHIPPER_VENV": sys.prefix, "SHIPPER_DEMO": str(tmp_path / "demo")}
        return subprocess.run(
            [ROOT / "scripts" / "demo"], capture_output=True, text=True, check=False, env={**os.environ, **settings}
        )

    return run


@pytest.mark.slow
def test_it_shows_what_it_promises_and_can_be_repeated(demo, tmp_path):
    for _ in range(2):
        done = demo()
        assert done.returncode == 0, done.stdout + done.stderr
        assert "every one of the 47,000 events written is there, once, and parsed" in done.stdout
        assert re.search(r"(?m)^  orders .* 22,000 +22,000$", done.stdout)
        assert "47,000 events, a line per" in done.stdout
        assert len(re.findall(r"(?m)^\$ shipper search .*\n\d{4}-\d\d-\d\d .*(?:ERROR|WARN)", done.stdout)) == 2
        for word in ("Traceback", "nothing found", "not parsed"):
            assert word not in done.stdout + done.stderr
    assert (tmp_path / "demo" / "logs" / "orders.log.1").exists()


def test_it_deletes_nothing_that_it_did_not_make(demo, tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "mine").write_text("precious", encoding="utf-8")
    done = demo()
    assert done.returncode == 1
    assert "SHIPPER_DEMO" in done.stderr
    assert (tmp_path / "demo" / "mine").read_text(encoding="utf-8") == "precious"
