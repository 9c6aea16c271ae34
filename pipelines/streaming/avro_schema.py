"""The file that --avro-schema names."""

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.transforms.messages.avro_schemas import MAX_SCHEMA_BYTES, UnusableSchema, parse_avro_schema


def read_avro_schema(path: str) -> str:
    """The text of the Avro schema at `path`, local or gs://. Raises ConfigurationError if it is not usable."""
    try:
        with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            data: bytes = file.read(MAX_SCHEMA_BYTES + 1)
        text = data.decode()
        parse_avro_schema(text)
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"--avro-schema {path} is not UTF-8 text: name the schema (.avsc), not Avro data"
        ) from None
    except UnusableSchema as error:
        raise ConfigurationError(f"--avro-schema {path}: {error}") from None
    except Exception as error:  # each file system raises its own
        raise ConfigurationError(f"--avro-schema {path} cannot be read: {error_line(error)}") from None
    return text
