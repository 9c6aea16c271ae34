"""--avro-schema: what can be wrong with the file is one line that names it."""

import pytest

from beam_talonone.pipelines.streaming.avro_schema import read_avro_schema
from beam_talonone.talonone.errors import ConfigurationError

TEXT = '{"type": "record", "name": "Order", "fields": [{"name": "order_id", "type": "string"}]}'


def test_the_text_of_the_file(tmp_path):
    path = tmp_path / "order.avsc"
    path.write_text(TEXT)
    assert read_avro_schema(str(path)) == TEXT


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"Obj\x01\xff", "is not UTF-8 text"),
        (b"not JSON", "not an Avro schema"),
        (b'"string"', "not one of a record"),
        (b" " * (1 << 20) + TEXT.encode(), "larger than 1 MiB"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_file_is_named_with_the_reason(tmp_path, content, why):
    path = tmp_path / "order.avsc"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=why) as error:
        read_avro_schema(str(path))
    assert f"--avro-schema {path}" in str(error.value)
    assert "\n" not in str(error.value)
