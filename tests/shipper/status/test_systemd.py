"""What systemd is told: against a socket as the service manager's, a datagram each."""

from __future__ import annotations

import os
import socket

import pytest

from shipper.status.systemd import Systemd


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A stand-in for systemd: its socket, and the name of it as it hands it out."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@shipper-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name.replace("@", "\0"))
        listening.setblocking(False)
        yield listening, name


def heard(listening):
    said = []
    while True:
        try:
            said.append(listening.recv(4096).decode())
        except BlockingIOError:
            return said


def test_each_state_is_told(manager):
    listening, name = manager
    systemd = Systemd({"NOTIFY_SOCKET": name})
    systemd.ready("shipping")
    systemd.reloading()
    systemd.stopping()
    ready, reloading, stopping = heard(listening)
    assert ready == "READY=1\nSTATUS=shipping"
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert stopping.startswith("STOPPING=1\n")


def test_the_watchdog_is_fed_as_often_as_it_needs(manager):
    listening, name = manager
    systemd = Systemd({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())})
    for _ in range(100):
        systemd.alive()
    assert heard(listening) == ["WATCHDOG=1"]


@pytest.mark.parametrize("env", [{}, {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "nonsense"}])
def test_no_watchdog_is_fed_where_there_is_none_for_this_process(manager, env):
    listening, name = manager
    Systemd({"NOTIFY_SOCKET": name, **env}).alive()
    assert heard(listening) == []


@pytest.mark.parametrize("env", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_without_systemd_nothing_happens(env):
    Systemd(env).ready("x")
