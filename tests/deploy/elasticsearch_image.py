"""Elasticsearch's image, built here around the real node (``elasticsearch_node``) and a JDK, for engines that can pull nothing.

It goes by the official name, and understands what the official one does as far as our compose file and testcontainers ask
for it: settings as variables of the environment, ``ELASTIC_PASSWORD`` and ``ELASTIC_PASSWORD_FILE``, ``ES_JAVA_OPTS``.
It is a stand-in for the image, not for the server; the label ``stand-in`` says so.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from deploy.image import image, succeeds
from elasticsearch_node.node import VERSION, CannotRunError, assemble, find_java

NAME = f"docker.elastic.co/elasticsearch/elasticsearch:{VERSION}"

ENTRYPOINT = r"""#!/bin/bash
set -eu
cd /usr/share/elasticsearch
export ES_HOME=$PWD ES_PATH_CONF=$PWD/config ES_TMPDIR=/tmp ES_DISTRIBUTION_TYPE=docker
export ES_JAVA_HOME=$PWD/jdk JAVA=$PWD/jdk/bin/java JAVA_TYPE=ES_JAVA_HOME HOME=$PWD LANG=C.UTF-8
{
  echo 'network.host: 0.0.0.0'
  echo 'cluster.routing.allocation.disk.threshold_enabled: false'
  # Names with dots are settings; the shell cannot name them, env can show them.
  env | sed -nE 's/^([a-z][a-z0-9_]*(\.[a-z0-9_]+)+)=(.*)$/\1: "\3"/p'
} > config/elasticsearch.yml
password=${ELASTIC_PASSWORD:-}
if [ -n "${ELASTIC_PASSWORD_FILE:-}" ]; then password=$(cat "$ELASTIC_PASSWORD_FILE"); fi
if [ -n "$password" ]; then
  # What bin/elasticsearch-keystore does.
  keystore() {
    "$JAVA" -Xms4m -Xmx64m -XX:+UseSerialGC -Dcli.name=keystore -Dcli.script=bin/elasticsearch-keystore \
      -Dcli.libs=lib/tools/keystore-cli -Des.path.home="$ES_HOME" -Des.path.conf="$ES_PATH_CONF" -Des.distribution.type=docker \
      -Des.java.type=ES_JAVA_HOME -cp 'lib/*:lib/cli-launcher/*' org.elasticsearch.launcher.CliToolLauncher "$@"
  }
  [ -f config/elasticsearch.keystore ] || keystore create
  printf '%s' "$password" | keystore add --stdin --force bootstrap.password
  unset ELASTIC_PASSWORD
fi
exec "$JAVA" -Xms4m -Xmx64m -XX:+UseSerialGC -cp 'lib/tools/server-launcher/*' org.elasticsearch.server.launcher.ServerLauncher
"""

DOCKERFILE = """\
ARG HOST
FROM ${HOST}
LABEL stand-in="the image, around the real server"
RUN useradd --non-unique --uid 1000 --gid 0 --home-dir /usr/share/elasticsearch --no-create-home elasticsearch
WORKDIR /usr/share/elasticsearch
COPY --chown=1000:0 jdk jdk
COPY --chown=1000:0 home .
COPY entrypoint /usr/local/bin/docker-entrypoint.sh
RUN chmod 0755 /usr/local/bin/docker-entrypoint.sh && install -d -o 1000 -g 0 data logs config && chown 1000:0 . config
USER 1000:0
EXPOSE 9200
ENTRYPOINT ["/usr/local/bin/docker-entrypoint.sh"]
"""


def elasticsearch_image(env: dict[str, str]) -> str:
    """The image's name, which is the official one; built on first use. Raises ``CannotRunError``."""
    home, java, host = assemble(), find_java(), image(env)
    key = hashlib.sha256(f"{DOCKERFILE}\0{ENTRYPOINT}\0{host}\0{java}".encode()).hexdigest()[:16]
    kept = f"elk-shipper-elasticsearch:{VERSION}-{key}"
    if not succeeds(["docker", "image", "inspect", kept], env):
        build(
            kept,
            DOCKERFILE,
            folders={"home": home, "jdk": Path(java)},
            files={"entrypoint": ENTRYPOINT},
            arguments={"HOST": host},
            env=env,
        )
    subprocess.run(["docker", "tag", kept, NAME], check=True, env=env)
    return NAME


def build(
    name: str,
    dockerfile: str,
    *,
    folders: dict[str, Path],
    files: dict[str, str],
    arguments: dict[str, str],
    env: dict[str, str],
) -> None:
    """``docker build`` of a context of folders and texts. Raises ``CannotRunError`` with the end of what it says."""
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        for to, source in folders.items():
            shutil.copytree(source, context / to, symlinks=False, ignore_dangling_symlinks=True)
        for to, text in (files | {"Dockerfile": dockerfile}).items():
            (context / to).write_text(text)
            (context / to).chmod(0o755)
        given = [f"--build-arg={each}={value}" for each, value in arguments.items()]
        done = subprocess.run(
            ["docker", "build", "--quiet", "--tag", name, *given, folder],
            check=False,
            capture_output=True,
            text=True,
            env=env,
        )
    if done.returncode:
        raise CannotRunError(f"docker build of {name}: {(done.stderr or done.stdout)[-800:]}")
