#!/usr/bin/env python3
"""Write the saved objects for Kibana's import page (Stack Management, Saved Objects): ``kibana/build.py > spring.ndjson``.

``shipper setup --kibana URL`` imports the same objects by itself, and ``shipper setup --export-kibana FILE`` writes them.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, whatever is installed

from shipper.elastic.objects import ndjson, saved_objects

if __name__ == "__main__":
    sys.stdout.write(ndjson(saved_objects()))
