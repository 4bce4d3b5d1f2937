# ruff: noqa: INP001, S603 - a role's file is in no package; the program is the one that the role has installed
"""Whether a release takes a configuration that is not in place yet.

``python - PROGRAM [different]``, with ``{"environment": text, "shipper.yml": text, "pipelines": {path: text}}`` on standard input. Those are laid over a
copy of /etc/shipper, which ``PROGRAM test config`` sees in its place, with the secrets in its environment: so nobody sees them in a list of processes.
``different``: what is in place already is not tried again.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PLACE = Path("/etc/shipper")

program, *only = sys.argv[1:]
given = json.load(sys.stdin)
texts = {**{f"pipelines/{path}": text for path, text in given.pop("pipelines").items()}, **given}
wanted = {path: text.encode(errors="surrogateescape") for path, text in texts.items()}
if only and all((PLACE / path).is_file() and (PLACE / path).read_bytes() == data for path, data in wanted.items()):
    sys.exit()

with tempfile.TemporaryDirectory(prefix="shipper-", dir="/run") as folder:
    copy = Path(folder, "copy")
    shutil.copytree(PLACE, copy, symlinks=True)
    for path, data in wanted.items():
        (copy / path).parent.mkdir(exist_ok=True)
        (copy / path).write_bytes(data)
    unit = ("systemd-run", "--quiet", "--pipe", "--wait", "--collect")
    seen = (f"--property=EnvironmentFile={copy}/environment", f"--property=BindReadOnlyPaths={copy}:{PLACE}")
    command = (*unit, *seen, program, "test", "config", "-c", f"{PLACE}/shipper.yml")
    tried = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
sys.exit(tried.returncode)
