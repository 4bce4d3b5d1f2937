from __future__ import annotations

import pytest
from spooling import ENDED, TARGET

from shipper.state.spool import Spool


@pytest.fixture
def opened(tmp_path):
    """Open the spool below the test's folder."""
    spools = []

    def open_spool(**more):
        spools.append(Spool(tmp_path, TARGET, **{"max_bytes": 1 << 20, **more}))
        return spools[-1]

    yield open_spool
    for each in spools:
        if each not in ENDED:
            each.close()
    ENDED.clear()
