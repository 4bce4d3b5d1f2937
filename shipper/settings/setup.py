"""The settings of ``shipper setup``: what a cluster needs once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from shipper.settings.base import Flag, Model, Text
from shipper.settings.units import Seconds, Unit
from shipper.settings.values import pipeline_path


def _whole_days(value: float) -> float:
    if 0 < value < 86400:
        msg = (
            "is less than a day: documents are deleted an index at a time; write 1d or more, or 0 to keep them for ever"
        )
        raise ValueError(msg)
    return value


class KibanaSettings(Model):
    """Where the dashboards go."""

    host: Annotated[str | None, Unit("URL")] = Field(
        default=None,
        description="Kibana's address, as `https://kibana:5601`. Default: none, no dashboards are imported.",
    )
    space: Text | None = Field(
        default=None, description="The id of the space they go to. Default: Kibana's default space."
    )


class SetupSettings(Model):
    """What `shipper setup` makes, for the data stream of `output.elasticsearch`."""

    retention: Annotated[Seconds, AfterValidator(_whole_days)] = Field(
        default=30 * 86400.0, description="How long documents are kept, at least; 0 keeps them for ever."
    )
    ilm: Annotated[
        Literal["auto", "true", "false"],
        BeforeValidator(lambda value: str(value).lower()),
        Unit("auto, true or false"),
    ] = Field(
        default="auto",
        description="Retention by an ILM policy (`true`), by the data stream's own lifecycle (`false`), or by ILM where the cluster has it (`auto`).",
    )
    replicas: Annotated[int | None, Unit("number")] = Field(
        default=None, ge=0, description="Copies of each shard besides the first. Default: the cluster's (1)."
    )
    fields_limit: Annotated[int, Unit("number")] = Field(
        default=1000,
        ge=100,
        description="Fields of one index; what is beyond is kept in the documents, but not indexed.",
    )
    pipeline: Annotated[str | None, BeforeValidator(pipeline_path), Unit("name or path")] = Field(
        default=None,
        description="The Logstash configuration that becomes the data stream's ingest pipeline, for lines that arrive unparsed. Default: none.",
    )
    overwrite: Flag = Field(
        default=False, description="Replace templates of the same name that `shipper setup` did not make."
    )
    kibana: KibanaSettings = Field(default=KibanaSettings(), description="Where the dashboards go.")
