"""Twenty seconds of ``soak.py``; run the script itself for longer."""

from __future__ import annotations

import os

import pytest
from soak import soak

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(3_600)]

SECONDS = 600 if os.environ.get("SHIPPER_NIGHTLY") else 10
RATE = 50_000 if os.environ.get("SHIPPER_NIGHTLY") else 10_000


@pytest.mark.parametrize("output", ["store", "scripted"])
def test_load_with_rotations_kills_and_outages(output, tmp_path):
    result = soak(tmp_path, seconds=SECONDS, rate=RATE, output=output, kill_each=4, outage_each=5)
    assert (result.missing, result.twice) == (0, 0), str(result)
    assert result.kills > 0
    assert max(result.rss) < 300, str(result)
