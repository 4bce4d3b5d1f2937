"""Where documents go. ``open_output`` makes the output that the settings name; each is imported only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shipper.outputs.base import Output
    from shipper.settings import Settings


def open_output(settings: Settings) -> Output:
    """The output of ``settings``, not yet checked: call its ``check()`` before the first ``send``.

    An output belongs to one thread: with several workers, open one for each.
    """
    output = settings.output
    match output.kind:
        case "elasticsearch":
            from shipper.outputs.elasticsearch import ElasticsearchOutput  # noqa: PLC0415 - 19 MB that others need not pay

            return ElasticsearchOutput(output)
        case "logstash":
            from shipper.outputs.logstash import LogstashOutput  # noqa: PLC0415 - only the one that is used

            return LogstashOutput(output)
        case "console":
            from shipper.outputs.console import ConsoleOutput  # noqa: PLC0415 - only the one that is used

            return ConsoleOutput(output)
        case "file":
            from shipper.outputs.file import FileOutput  # noqa: PLC0415 - only the one that is used

            return FileOutput(output)
        case "store":
            from shipper.outputs.store import StoreOutput  # noqa: PLC0415 - SQLite, only where it is used

            return StoreOutput(settings.store_path, output.max_bytes)
