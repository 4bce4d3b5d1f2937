"""How commands are found, and how each kind of error ends."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

import shipper.cli
from parser import PipelineSyntaxError
from shipper import __version__
from shipper.cli import COMMANDS, Command, main
from shipper.errors import InputError, RefusedError, SettingsError


@pytest.fixture
def failing(monkeypatch):
    """Run a command that raises ``error``."""

    def run(error):
        @click.command()
        def command():
            raise error

        monkeypatch.setattr(shipper.cli, "failing", command, raising=False)
        monkeypatch.setitem(COMMANDS, "failing", Command("shipper.cli:failing", ""))
        return CliRunner().invoke(main, ["failing"])

    return run


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (RefusedError("the password is wrong"), 1, "shipper: the password is wrong\n"),
        (SettingsError(["a.yml:1: x", "a.yml:2: y"]), 2, "shipper: a.yml:1: x\nshipper: a.yml:2: y\n"),
        (PipelineSyntaxError("expected }", file="a.conf", line=3), 2, "shipper: a.conf:3: expected }\n"),
        (InputError("/a\x1b[31m\udce9 is empty"), 1, "shipper: /a\\x1b[31m\\xe9 is empty\n"),
        (KeyboardInterrupt(), 130, "shipper: interrupted\n"),
    ],
)
def test_an_error_is_a_message_and_a_code(failing, error, code, message):
    result = failing(error)
    assert (result.exit_code, result.stderr, result.stdout) == (code, message, "")


def test_a_fault_says_how_to_see_more_and_quotes_no_event(failing, monkeypatch):
    monkeypatch.delenv("SHIPPER_DEBUG", raising=False)
    result = failing(ValueError("invalid literal: 'what stood in a log'"))
    assert result.exit_code == 70
    assert "ValueError" in result.stderr
    assert "what stood in a log" not in result.stderr
    assert "SHIPPER_DEBUG=1" in result.stderr


def test_a_fault_is_raised_for_debugging(failing, monkeypatch):
    monkeypatch.setenv("SHIPPER_DEBUG", "1")
    assert isinstance(failing(ZeroDivisionError()).exception, ZeroDivisionError)


def test_wrong_usage_is_clicks_business():
    result = CliRunner().invoke(main, ["nonsense"])
    assert result.exit_code == 2
    assert "No such command 'nonsense'" in result.stderr


@pytest.mark.parametrize("typed", ["serch", "folow", "confg"])
def test_a_mistyped_command_is_told_which_is_meant(typed):
    result = CliRunner().invoke(main, [typed])
    assert result.exit_code == 2
    [meant] = [name for name in COMMANDS if f"did you mean {name}?" in result.stderr]
    assert meant[0] == typed[0]


def commands(command, path=()):
    """Each command and group, with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), (*path, name))


def test_help_fits_a_terminal_of_80_columns():
    for path, _ in commands(main):
        result = CliRunner().invoke(main, [*path, "--help"], prog_name="shipper")
        assert result.exit_code == 0
        assert [line for line in result.stdout.splitlines() if len(line) > 80] == [], path


def test_version():
    result = CliRunner().invoke(main, ["--version"])
    assert (result.exit_code, result.output) == (0, f"shipper, version {__version__}\n")


def test_help_lists_all_commands_and_imports_none():
    code = """if True:
        import sys
        from shipper.cli import main
        main(["--help"], standalone_mode=False)
        print(*sorted(name for name in sys.modules if name.startswith("shipper.")), file=sys.stderr)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    assert set(done.stderr.split()) == {"shipper.cli", "shipper.errors"}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_where_the_table_says(name):
    module, _, attribute = COMMANDS[name].target.partition(":")
    command = getattr(import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert command.name == name


def test_python_m_shipper():
    done = subprocess.run([sys.executable, "-m", "shipper", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"shipper, version {__version__}\n"
