"""``shipper receive`` as a process that a test starts, kills and starts again on the same port."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading


class ReceiverProcess:
    """Writes into a file below ``folder``, or where ``output`` (settings) says; ``own`` is its section ``receive``."""

    def __init__(self, folder, output=None, **own):
        self.folder = folder
        self.settings = folder / "shipper.yml"
        self.port = 0
        self.own = own
        self.output = output or {"output.file.path": str(folder / "out")}

    def start(self):
        mapping = {
            "receive": {"host": f"127.0.0.1:{self.port}", **self.own},
            "path.data": str(self.folder / "data"),
            **self.output,
        }
        self.settings.write_text(json.dumps(mapping))
        command = [sys.executable, "-m", "shipper", "receive", "-c", str(self.settings)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.log = []
        for line in self.process.stderr:
            if "listening on " in line:
                self.port = int(line.split("listening on ")[1].split()[0].rpartition(":")[2])
                break
            self.log.append(line)
        else:
            self.process.wait(30)
            self.process.stderr.close()
            raise AssertionError("".join(self.log))
        threading.Thread(target=self.log.extend, args=(self.process.stderr,), daemon=True).start()
        return self

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.process.stderr.close()
        return code

    def documents(self):
        path = self.folder / "out" / "shipper.ndjson"
        return [json.loads(line) for line in path.read_text().splitlines()]
