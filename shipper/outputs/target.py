"""What acknowledgements belong to: another target gets the files from their start."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shipper.settings import Settings


def target(settings: Settings) -> str:
    """Whose acknowledgements the registry keeps. Not the hosts: a node more makes no other cluster."""
    output = settings.output
    match output.kind:
        case "elasticsearch":
            return f"elasticsearch {output.target}"
        case "logstash":
            return "logstash"
        case "file":
            return f"file {output.path / output.filename}"
        case "store":
            return f"store {settings.store_path}"
        case "console":
            return "console"
