"""The settings themselves: one field each, with its kind, default and meaning. The reference is generated from here.

A field's ``Key`` says where it stands in ``shipper.yml`` when that is not its own name; Filebeat's names come first.
"""

from __future__ import annotations

from collections.abc import Iterable  # noqa: TC003 - pydantic reads the annotations
from pathlib import Path  # noqa: TC003 - as above
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, model_validator

from shipper.settings.base import Fields, Flag, Key, Model, Tags, Text
from shipper.settings.encodings import encoding_name
from shipper.settings.outputs import (
    ConsoleOutputSettings,
    ElasticsearchOutputSettings,
    FileOutputSettings,
    LogstashOutputSettings,
    StoreOutputSettings,
)
from shipper.settings.receive import ReceiveSettings  # noqa: TC001 - pydantic reads the annotations
from shipper.settings.setup import SetupSettings
from shipper.settings.units import FilePath, Glob, Regex, Seconds, Size, Unit, items
from shipper.settings.values import framing
from shipper.settings.values import iana_zone as _zone
from shipper.settings.values import pipeline_path as _pipeline


class MultilineSettings(Model):
    """How lines become events, where the pipeline's own preset is not wanted."""

    type: Annotated[Literal["pattern"], Unit("pattern")] = Field(
        default="pattern", description="How lines are joined; only by a pattern."
    )
    pattern: Regex | None = Field(default=None, description="The regular expression that is looked for in each line.")
    preset: Annotated[str | None, Unit("name"), AfterValidator(framing)] = Field(
        default=None,
        description="Instead of a pattern: join lines as this bundled pipeline wants them (`spring-boot`), for an input without `pipeline` "
        "whose events are parsed later, in Logstash.",
    )
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

    @model_validator(mode="after")
    def _one_of_both(self) -> MultilineSettings:
        if self.pattern is None and self.preset is None:
            msg = "pattern is missing: give one, or the preset of a bundled pipeline"
            raise ValueError(msg)
        with_pattern = {"pattern", "negate", "match", "max_lines", "flush_pattern"} & self.model_fields_set
        if self.preset is not None and with_pattern:
            msg = f"preset and {min(with_pattern)} are both set: keep one"
            raise ValueError(msg)
        return self


class InputSettings(Model):
    """Files that are read the same way."""

    id: Text | None = Field(default=None, description="A name for messages and metrics.")
    type: Annotated[Literal["filestream", "log"], Unit("filestream or log")] = Field(
        default="filestream", description="Both mean files; Filebeat's two names are accepted."
    )
    enabled: Flag = Field(default=True, description="Whether the input is used.")
    paths: Annotated[tuple[Glob, ...], BeforeValidator(items), Unit("list of globs")] = Field(
        min_length=1,
        description="The files to read; `*`, `?`, `[a-z]` and `**` as in a shell: "
        "names that begin with a dot, or end with `~`, are taken by patterns that have it too, such as `.*.log`.",
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
        default=300.0,
        gt=0,
        description="A file with nothing new for this long is closed; it is still watched, unless it has left the input's paths.",
    )
    close_removed: Annotated[Seconds, Key("close.removed", ("close_removed",))] = Field(
        default=0.0,
        description="A deleted file is read to its end; one of which nothing can be read for this long (the output is down) is closed, "
        "and what is left of it is lost, reported and counted. 0: never, the disk keeps it until it is read.",
    )
    clean_inactive: Seconds = Field(
        default=30 * 86400.0,
        description="A file that is not found for this long is forgotten: should it come back, it is read from its start. "
        "0: never.",
    )
    harvester_limit: Annotated[int, Unit("number")] = Field(
        default=0,
        ge=0,
        description="Files that are open at once; others wait. 0: as many as the process may open, at most 10,000.",
    )
    check_interval: Annotated[Seconds, Key("prospector.scanner.check_interval", ("scan_frequency",))] = Field(
        default=5.0,
        ge=0.01,
        description="How often the folders are looked through; change notices of the system make it quicker.",
    )
    on_complete: Annotated[Literal["keep", "delete"], Unit("keep or delete")] = Field(
        default="keep",
        description="`delete`: delete a file when the output has all of it, durably, and nothing has been written to it for "
        "`on_complete_quiet`.",
    )
    on_complete_quiet: Seconds = Field(
        default=30.0,
        gt=0,
        description="For how long a file must not have changed before it is deleted; `--once` does not wait.",
    )
    encoding: Annotated[str, AfterValidator(encoding_name), Unit("name")] = Field(
        default="utf-8",
        description="What the files are written in: `utf-8`, `utf-16` (the byte order mark or the first line feed tells the order), `utf-16le`, `utf-16be`, `latin1`, "
        "`iso8859-15`, `windows-1252`, `cp850`, `koi8-r`, `gbk`, `gb18030`, `big5`, `euc-jp`, `shift_jis` and more, by Python's or "
        "Filebeat's names. Events are UTF-8; `log.offset` and `message_max_bytes` count the files' own bytes.",
    )


class HttpSettings(Model):
    """Where the agent or the receiver says how it is: `/health`, and `/metrics` for Prometheus."""

    enabled: Flag = Field(
        default=False, description="Serve `/health` and `/metrics` while `shipper run` or `shipper receive` runs."
    )
    host: Text = Field(default="127.0.0.1", description="The address to listen at; this machine's own by default.")
    port: Annotated[int, Unit("number")] = Field(
        default=5066, ge=0, le=65535, description="The port to listen at; 0 takes one that is free, and logs it."
    )
    allow_remote: Flag = Field(
        default=False,
        description="Permit a `host` that other machines can reach. Nobody has to log in: numbers and paths are public then.",
    )


class DiskQueueSettings(Model):
    """Batches on disk while the output takes none, so that files may be rotated away in an outage."""

    enabled: Flag = Field(default=True, description="Whether it is used, where `queue.disk` is there.")
    max_size: Size = Field(
        default=10 << 30,
        ge=1 << 20,
        description="What it may take of the disk; when it is full, reading stops.",
    )
    path: FilePath | None = Field(default=None, description="Its folder. Default: `spool` below `path.data`.")


class Settings(Model):
    """What ``shipper run`` needs to know."""

    inputs: tuple[InputSettings, ...] = Field(default=(), min_length=1, description="What is read.")
    receive: ReceiveSettings | None = Field(default=None, description="What `shipper receive` does.")
    output: (
        StoreOutputSettings
        | ElasticsearchOutputSettings
        | LogstashOutputSettings
        | ConsoleOutputSettings
        | FileOutputSettings
    ) = Field(
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
    queue_disk: Annotated[DiskQueueSettings | None, Key("queue.disk")] = Field(
        default=None, description="A queue on disk behind the one in memory. Default: none, the files are the buffer."
    )
    http: HttpSettings = Field(default=HttpSettings(), description="Health and metrics.")
    setup: SetupSettings = Field(default=SetupSettings(), description="What `shipper setup` makes.")

    _secrets: frozenset[str] = PrivateAttr(default=frozenset())

    @model_validator(mode="after")
    def _deletes_only_what_is_kept(self) -> Settings:
        if self.output.kind == "console" and any(each.on_complete == "delete" for each in self.inputs if each.enabled):
            msg = "on_complete: delete needs an output that keeps what it takes: the console does not"
            raise ValueError(msg)
        return self

    @property
    def secrets(self) -> frozenset[str]:
        """What of the values must not be shown: passwords and keys, and what came from files or variables that hold such."""
        return self._secrets | self.output.secrets | (self.receive.secrets if self.receive else frozenset())

    def hiding(self, secrets: Iterable[str]) -> Settings:
        """These settings, which know that so much in them must not be shown."""
        self._secrets = frozenset(secrets)
        return self

    @property
    def batch_max_bytes(self) -> int:
        """The output's ``bulk_max_bytes``."""
        return self.output.bulk_max_bytes

    @property
    def spool_path(self) -> Path:
        """The folder of the queue on disk, whether or not there is one."""
        return (self.queue_disk.path if self.queue_disk else None) or self.path_data / "spool"

    @property
    def store_path(self) -> Path:
        """The folder of the embedded store, whether or not it is the output."""
        return (self.output.path if isinstance(self.output, StoreOutputSettings) else None) or self.path_data / "store"
