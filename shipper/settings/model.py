"""The settings themselves: one field each, with its kind, default and meaning. The reference is generated from here.

A field's ``Key`` says where it stands in ``shipper.yml`` when that is not its own name; Filebeat's names come first.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - pydantic reads the annotations
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from shipper.settings.base import Fields, Flag, Key, Model, Tags, Text
from shipper.settings.outputs import (
    ConsoleOutputSettings,
    ElasticsearchOutputSettings,
    FileOutputSettings,
    StoreOutputSettings,
)
from shipper.settings.units import FilePath, Glob, Regex, Seconds, Size, Unit, absolute, items


def _zone(name: str | None) -> str | None:
    """An IANA time zone that this machine knows."""
    if name is None:
        return None
    import zoneinfo  # noqa: PLC0415 - only when a zone is set

    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        import difflib  # noqa: PLC0415 - only for the message

        near = difflib.get_close_matches(name, sorted(zoneinfo.available_timezones()), 1)
        hint = f"did you mean {near[0]}?" if near else "use a name such as Europe/Berlin or UTC"
        msg = f"{name!r} is not a time zone: {hint}"
        raise ValueError(msg) from None
    return name


def _encoding(name: str) -> str:
    if name.lower().replace("_", "-") not in {"utf-8", "utf8", "plain"}:
        msg = f"{name!r} is not supported: logs are read as utf-8 (invalid bytes are kept readable); leave the setting out"
        raise ValueError(msg)
    return "utf-8"


def _pipeline(value: Any, info: ValidationInfo) -> Any:
    """A bundled name as it is; what looks like a file (a slash, ``.conf``) as an absolute path."""
    return absolute(value, info) if isinstance(value, str) and ("/" in value or value.endswith(".conf")) else value


class MultilineSettings(Model):
    """How lines become events, where the pipeline's own preset is not wanted."""

    type: Annotated[Literal["pattern"], Unit("pattern")] = Field(
        default="pattern", description="How lines are joined; only by a pattern."
    )
    pattern: Regex = Field(description="The regular expression that is looked for in each line.")
    negate: Flag = Field(default=False, description="Join the lines that do *not* match the pattern.")
    match: Annotated[Literal["after", "before"], Unit("after or before")] = Field(
        default="after",
        description="Whether joined lines belong to the line before them (`after`) or to the one that follows (`before`).",
    )
    max_lines: Annotated[int | None, Unit("number")] = Field(
        default=None, ge=1, description="Lines of one event; what is more begins another. Default: no limit."
    )
    timeout: Seconds = Field(
        default=5.0,
        gt=0,
        description="An event whose end has not been seen is sent after this time without a new line.",
    )
    flush_pattern: Regex | None = Field(default=None, description="A line that matches ends its event at once.")


class InputSettings(Model):
    """Files that are read the same way."""

    id: Text | None = Field(default=None, description="A name for messages and metrics.")
    type: Annotated[Literal["filestream", "log"], Unit("filestream or log")] = Field(
        default="filestream", description="Both mean files; Filebeat's two names are accepted."
    )
    enabled: Flag = Field(default=True, description="Whether the input is used.")
    paths: Annotated[tuple[Glob, ...], BeforeValidator(items), Unit("list of globs")] = Field(
        min_length=1, description="The files to read; `*`, `?`, `[a-z]` and `**` as in a shell."
    )
    exclude_files: Annotated[
        tuple[Regex, ...],
        BeforeValidator(items),
        Unit("list of regular expressions"),
        Key("exclude_files", ("prospector.scanner.exclude_files",)),
    ] = Field(default=(), description="Files whose path matches one of these are not read.")
    pipeline: Annotated[str | None, BeforeValidator(_pipeline), Unit("name or path")] = Field(
        default=None,
        description="The Logstash configuration that parses the events: a bundled one by name (`spring-boot`), a file, or a folder of `*.conf`. "
        "Without it each line is shipped whole.",
    )
    ecs_compatibility: Annotated[Literal["v8", "v1", "disabled"], Unit("v8, v1 or disabled")] = Field(
        default="v8",
        description="The names that the pipeline's grok patterns and filters use by default, as in Logstash.",
    )
    timezone: Annotated[str | None, AfterValidator(_zone), Unit("IANA time zone")] = Field(
        default=None, description="The zone of timestamps that carry no offset. Default: the machine's."
    )
    multiline: MultilineSettings | None = Field(
        default=None,
        description="How lines become events. Default: the pipeline's preset. Also taken from `parsers: [multiline: {...}]`.",
    )
    fields: Fields = Field(default={}, description="Added to each event.")
    fields_under_root: Flag = Field(
        default=False, description="Add `fields` at the top of the event instead of under `fields`."
    )
    tags: Tags = Field(default=(), description="Added to each event's `tags`.")
    message_max_bytes: Annotated[Size, Key("message_max_bytes", ("max_bytes",))] = Field(
        default=10 << 20,
        ge=1024,
        description="Longer lines become several events flagged `partial`; nothing is cut away.",
    )
    close_inactive: Annotated[Seconds, Key("close_inactive", ("close.on_state_change.inactive",))] = Field(
        default=300.0, gt=0, description="A file with nothing new for this long is closed; it is still watched."
    )
    check_interval: Annotated[Seconds, Key("prospector.scanner.check_interval", ("scan_frequency",))] = Field(
        default=5.0,
        ge=0.01,
        description="How often the folders are looked through; change notices of the system make it quicker.",
    )
    encoding: Annotated[str, AfterValidator(_encoding), Unit("utf-8")] = Field(
        default="utf-8", description="The files' encoding; only UTF-8 for now."
    )


class Settings(Model):
    """What ``shipper run`` needs to know."""

    inputs: tuple[InputSettings, ...] = Field(min_length=1, description="What is read.")
    output: StoreOutputSettings | ElasticsearchOutputSettings | ConsoleOutputSettings | FileOutputSettings = Field(
        default=StoreOutputSettings(),
        discriminator="kind",
        description="Where it goes; exactly one. Default: the store.",
    )
    path_data: Annotated[FilePath, Key("path.data")] = Field(
        description="The folder for all that is kept: state, store. `SHIPPER_HOME` in the environment comes first. "
        "Default: `/var/lib/shipper` for root, else `$XDG_STATE_HOME/elk-shipper` (`~/.local/state/elk-shipper`)."
    )
    name: Text | None = Field(default=None, description="The host's name in events. Default: what the system says.")
    host_id: Annotated[Text | None, Key("host.id")] = Field(
        default=None, description="The host's identity, part of each document's id. Default: the system's machine id."
    )
    fields: Fields = Field(default={}, description="Added to the events of every input.")
    fields_under_root: Flag = Field(
        default=False, description="Add `fields` at the top of the event instead of under `fields`."
    )
    tags: Tags = Field(default=(), description="Added to every event's `tags`.")
    queue_max_bytes: Annotated[Size, Key("queue.mem.bytes")] = Field(
        default=4 << 20,
        ge=1 << 16,
        description="Documents that wait in memory for the output; when it is full, reading stops.",
    )

    @property
    def batch_max_bytes(self) -> int:
        """The output's ``bulk_max_bytes``."""
        return self.output.bulk_max_bytes

    @property
    def store_path(self) -> Path:
        """The folder of the embedded store, whether or not it is the output."""
        return (self.output.path if isinstance(self.output, StoreOutputSettings) else None) or self.path_data / "store"
