"""Values that need more than a pattern to be checked: time zones, pipelines and their framing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shipper.settings.units import absolute

if TYPE_CHECKING:
    from pydantic import ValidationInfo


def iana_zone(name: str | None) -> str | None:
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


def pipeline_path(value: Any, info: ValidationInfo) -> Any:
    """A bundled name as it is; what looks like a file (a slash, ``.conf``) as an absolute path."""
    return absolute(value, info) if isinstance(value, str) and ("/" in value or value.endswith(".conf")) else value


def framing(name: str | None) -> str | None:
    """The name of a bundled pipeline that has a framing of its own."""
    if name is None:
        return None
    from parser.multiline import PRESETS  # noqa: PLC0415 - only when a preset is set

    if name not in PRESETS:
        msg = f"{name!r} is none of the bundled pipelines' framings: {', '.join(PRESETS)}"
        raise ValueError(msg)
    return name
