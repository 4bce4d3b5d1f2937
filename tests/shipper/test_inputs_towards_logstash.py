"""What the events of an input carry when the output is Logstash."""

import orjson
import pytest

from parser import Pipeline
from parser.multiline import PRESETS
from shipper import host
from shipper.delivery.encoder import Encoder
from shipper.files.reader import Block
from shipper.inputs import _fields, _framer, parsed_metadata
from shipper.outputs.logstash import METADATA
from shipper.settings import from_mapping

LINE = b"2017-07-04 11:11:37.921  INFO 60820 --- [pool-3-thread-1] br.com.service.ContaService      : GET DATA\n"


def settings(**more):
    return from_mapping({"inputs": [{"paths": ["/x"]}], "output.logstash": {"hosts": "x", **more}})


@pytest.mark.parametrize("line", [LINE, b"not of Spring\n"])
def test_parsed_events_say_so_in_front_of_everything(line):
    encoder = Encoder(Pipeline.load("spring-boot"), {}, (), parsed_metadata(settings(index="filebeat")))
    body = encoder.encode(Block(line, 0, [len(line)]), "/a", bytes(16)).body
    document = body.split(b"\n")[1]
    assert document.startswith(METADATA)
    metadata = orjson.loads(document)["@metadata"]
    assert metadata.pop("version")
    assert metadata == {"beat": "filebeat", "type": "_doc", "parsed": True}


def test_other_outputs_get_no_metadata():
    assert parsed_metadata(from_mapping({"inputs": [{"paths": ["/x"]}]})) is None


def test_the_agent_has_an_id_that_is_not_the_machines():
    made = settings()
    one, again = (_fields(made, made.inputs[0])["agent"] for _ in range(2))
    assert one == again
    assert one["type"] == "elk-shipper"
    assert len(one["id"]) == 36
    assert host.machine_id() not in one["id"]


def test_lines_that_logstash_parses_are_joined_as_its_pipeline_wants_them():
    made = from_mapping({"inputs": [{"paths": ["/x"], "multiline": {"preset": "spring-boot"}}]})
    assert made.inputs[0].pipeline is None
    assert _framer(made.inputs[0]) is PRESETS["spring-boot"]
