"""What the models of the settings are made of."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr

from shipper.settings.units import Unit, items


class Key(NamedTuple):
    """Annotation of a field: its dotted names in the file, the documented one first."""

    name: str
    also: tuple[str, ...] = ()


class Model(BaseModel):
    """Frozen, and knows no other fields than its own."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", coerce_numbers_to_str=True, arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    @property
    def secrets(self) -> frozenset[str]:
        """What of its values must not be shown: passwords and keys."""
        found: set[str] = set()
        for _, value in self:
            if isinstance(value, SecretStr):
                found.add(value.get_secret_value())
            elif isinstance(value, Model):
                found |= value.secrets
        return frozenset(found)


Text = Annotated[str, Unit("text")]
Tags = Annotated[tuple[str, ...], BeforeValidator(items), Unit("list of text")]
Fields = Annotated[dict[str, Any], Unit("mapping")]
Flag = Annotated[bool, Unit("true or false")]
