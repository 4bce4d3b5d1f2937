"""What filters do with an event: read, write and remove fields, and put text into tags.

An event is a plain nested dict. These functions hold Logstash's rules for the cases that generated code does not
write inline: lists on the way, parents that are no hashes, ``tags`` and ``@timestamp`` and their fixed types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from parser.timestamps import Timestamp

if TYPE_CHECKING:
    from parser.logstash.ast import Path

Event = dict[str, Any]

_MOST_ITEMS: Final = 10_000
"""Items up to which a list is filled with nulls. Logstash knows no bound: a line that names an index takes all memory."""


class FieldSetError(ValueError):
    """A field cannot be set where it should be: its parent is neither hash nor list, or its type is fixed."""


def dig(container: Any, path: Path) -> Any:
    """The value at ``path`` below ``container``, or ``None``; a key into a list is an index, which may be negative."""
    for key in path:
        if type(container) is dict:
            container = container.get(key)
        elif type(container) is list:
            try:
                container = container[int(key)]
            except (ValueError, IndexError):
                return None
        else:
            return None
    return container


def has(container: Any, path: Path) -> bool:
    """Whether ``path`` exists, with a null value or another."""
    parent = dig(container, path[:-1])
    if type(parent) is dict:
        return path[-1] in parent
    if type(parent) is list:
        try:
            parent[int(path[-1])]
        except (ValueError, IndexError):
            return False
        return True
    return False


def put(event: Event, path: Path, value: Any) -> None:
    """Set a field; missing parents become hashes. Raises ``FieldSetError``."""
    if path[0] == "@timestamp" and type(value) is not Timestamp:
        raise FieldSetError("@timestamp takes nothing but a timestamp")
    if path[0] == "tags" and not _is_tags(path, value):
        raise FieldSetError("tags takes a string or a list of strings")
    container: Any = event
    for key in path[:-1]:
        child = dig(container, (key,))
        if child is None:
            child = {}
            _put_child(container, key, child)
        elif type(child) is not dict and type(child) is not list:
            raise FieldSetError(f"[{key}] holds {type(child).__name__}, so nothing can be set below it")
        container = child
    _put_child(container, path[-1], value)


def _is_tags(path: Path, value: Any) -> bool:
    if len(path) > 1:
        return False
    return isinstance(value, str) or (type(value) is list and all(isinstance(item, str) for item in value))


def _put_child(container: Any, key: str, value: Any) -> None:
    if type(container) is dict:
        container[key] = value
        return
    try:
        index = int(key)
    except ValueError:
        return  # Logstash silently sets nothing there
    if index < -len(container):
        raise FieldSetError(f"the list has no item {index}")
    if index >= max(len(container), _MOST_ITEMS):
        raise FieldSetError(f"the list has {len(container)} items: the one with this index is too far off")
    if index < 0:
        container[index] = value
    else:
        container.extend([None] * (index + 1 - len(container)))
        container[index] = value


def remove(event: Event, path: Path) -> Any:
    """Take a field out and return its value; a missing one is no error."""
    parent = dig(event, path[:-1])
    if type(parent) is dict:
        return parent.pop(path[-1], None)
    if type(parent) is list:
        try:
            return parent.pop(int(path[-1]))
        except (ValueError, IndexError):
            return None
    return None


def tag(event: Event, name: str) -> None:
    """Tag the event once, as a filter does on failure."""
    tags = event.get("tags")
    if tags is None:
        event["tags"] = [name]
    elif type(tags) is not list:
        if tags != name:
            event["tags"] = [tags, name]
    elif name not in tags:
        tags.append(name)


def add_tag(event: Event, name: str) -> None:
    """What ``add_tag`` does: a tag that is there already is added again."""
    tags = event.get("tags")
    if tags is None:
        event["tags"] = [name]
    elif type(tags) is list:
        tags.append(name)
    else:
        event["tags"] = [tags, name]


def remove_tag(event: Event, name: str) -> None:
    """What ``remove_tag`` does: every occurrence goes, and a single string becomes a list."""
    tags = event.get("tags")
    if tags is None:
        return
    event["tags"] = [item for item in (tags if type(tags) is list else [tags]) if item != name]


def ruby_array(value: Any) -> list[Any]:
    """Ruby's ``Array(value)``."""
    if value is None:
        return []
    if type(value) is list:
        return value
    if type(value) is dict:
        return [[key, item] for key, item in value.items()]
    return [value]


def add_field(event: Event, path: Path, value: str) -> None:
    """What ``add_field`` does: a field that exists becomes a list with the value at its end."""
    put(event, path, [*ruby_array(dig(event, path)), value] if has(event, path) else value)


def capture(event: Event, path: Path, value: Any) -> None:
    """What grok does with a capture: it joins a string or a list, and leaves any other value alone."""
    present = dig(event, path)
    if present is None:
        put(event, path, value)
    elif type(present) is list:
        put(event, path, [*present, value])
    elif type(present) is str:
        put(event, path, [present, value])
