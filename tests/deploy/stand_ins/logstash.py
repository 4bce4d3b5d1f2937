#!/usr/bin/python3
"""A stand-in for Logstash, for hosts of tests: it is not Logstash, and says so.

``--config.test_and_exit`` reads the settings and all pipelines with this repository's own grammar; else it listens with
the TLS of each ``beats`` input, shakes hands, and drops what comes. Settings, variables and paths are taken from where
Logstash takes them; like Logstash's own script it sets ``LOGSTASH_HOME`` itself, whatever the environment says.
"""

import argparse
import glob
import os
import pathlib
import re
import socketserver
import ssl
import sys
import threading

sys.path.insert(0, "/usr/share/logstash/stand-in")

import yaml

from parser.errors import ParserError
from parser.logstash import ast, grammar

SETTINGS = re.compile(
    r"(node|path|api|config|pipeline|queue|dead_letter_queue|log|monitoring|xpack|allow_superuser)(\.|$)"
)


def fail(message):
    sys.exit(f"[FATAL] stand-in for Logstash: {message}")


def read(path):
    try:
        return replaced(pathlib.Path(path).read_text())
    except OSError as error:
        return fail(error)


def replaced(text):
    return re.sub(r"\$\{(\w+)(?::([^}]*))?\}", variable, text)


def files(pattern):
    """The files of a ``path.config``: braces and stars, in their order."""
    if braces := re.search(r"\{([^{}]*)\}", pattern):
        return [
            path
            for each in braces[1].split(",")
            for path in files(pattern[: braces.start()] + each + pattern[braces.end() :])
        ]
    return sorted(glob.glob(pattern)) or fail(f"No configuration found in the configured sources: {pattern}")


def variable(match):
    value = os.environ.get(match[1], match[2])
    if value is None:
        fail(
            f"Cannot evaluate `{match[0]}`. Replacement variable `{match[1]}` is not defined in a Logstash secret store or an Environment entry"
        )
    return value


def settings(folder):
    found = yaml.safe_load(read(f"{folder}/logstash.yml")) or {}
    for name in found:
        if not SETTINGS.match(name):
            fail(f"Setting \"{name}\" doesn't exist. Please check if you haven't made a typo.")
    return found


def sections(pattern):
    found = []
    for path in files(pattern):
        read(path)  # its variables are there; they are not part of the language
        try:
            found += grammar.parse(pathlib.Path(path).read_text(), file=path)
        except ParserError as error:
            fail(f"The given configuration is invalid. Reason: {error}")
    return found


def inputs(pattern):
    for section in sections(pattern):
        if section.kind == "input":
            yield from (each for each in section.body if isinstance(each, ast.Plugin) and each.name == "beats")


def options(plugin):
    given = {each.name: getattr(each.value, "value", each.value) for each in plugin.attributes}
    return {name: replaced(each) if isinstance(each, str) else each for name, each in given.items()}


class Shake(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            with self.server.context.wrap_socket(self.request, server_side=True) as connection:
                connection.settimeout(5)
                while connection.recv(65536):
                    pass
        except OSError:
            pass


def serve(plugin):
    given = options(plugin)
    server = socketserver.ThreadingTCPServer(("0.0.0.0", int(given["port"])), Shake, bind_and_activate=False)
    server.allow_reuse_address = server.daemon_threads = True
    server.server_bind()
    server.server_activate()
    server.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.context.load_cert_chain(given["ssl_certificate"], given["ssl_key"])
    print(f"[INFO ] stand-in for Logstash: listens on {given['port']} with TLS", flush=True)  # noqa: T201 - a service says it to its journal
    return threading.Thread(target=server.serve_forever)


def main():
    wanted = argparse.ArgumentParser()
    for name in ("settings", "data"):
        wanted.add_argument(f"--path.{name}", dest=name)
    wanted.add_argument("--config.test_and_exit", dest="test", action="store_true")
    given = wanted.parse_args()
    if os.geteuid() == 0:
        fail("Running Logstash as a superuser is not allowed by default.")
    os.environ["LOGSTASH_HOME"] = "/usr/share/logstash"
    folder = given.settings or "/etc/logstash"
    settings(folder)
    pipelines = [each["path.config"] for each in yaml.safe_load(read(f"{folder}/pipelines.yml"))]
    if given.test:
        for each in pipelines:
            sections(each)
        print("Configuration OK")  # noqa: T201 - as Logstash does
        return
    threads = [serve(plugin) for each in pipelines for plugin in inputs(each)]
    for each in threads:
        each.start()


main()
