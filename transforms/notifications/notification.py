"""What a notification of Cloud Storage says: https://cloud.google.com/storage/docs/pubsub-notifications."""

from collections.abc import Mapping
from dataclasses import dataclass

from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.records import MODELS
from beam_talonone.transforms.formats.dialect import Dialect
from beam_talonone.transforms.formats.errors import UnknownFormat
from beam_talonone.transforms.messages.message_kind import ATTRIBUTE
from beam_talonone.transforms.sources.matching import is_data_path
from beam_talonone.transforms.sources.opening import ENDINGS, Format, check_kind, format_of

FINALIZED = "OBJECT_FINALIZE"
"""The type of the event after an object was written whole: new, overwritten, copied or restored."""

FOLDER, MARKER, PART_OF_UPLOAD = "folder", "marker or hidden file", "part of an upload"
"""The rules that filter a finished object without records."""

_PARTS_OF_UPLOADS = "/tmp/parallel_composite_uploads/"  # nosec B108
"""Where gcloud storage and gsutil put the parts of one file while they upload it."""

_REQUIRED = ("eventType", "bucketId", "objectId", "objectGeneration")


class NotANotification(ValueError):
    """The message is no notification of Cloud Storage. The text is the reason, for a dead letter."""


@dataclass(frozen=True)
class Notification:
    """An event of one generation of an object. `attributes` are all attributes of the message, also custom ones.

    >>> Notification("OBJECT_FINALIZE", "b", "in/orders.csv", 1700000000000000, {}).file
    'gs://b/in/orders.csv#1700000000000000'
    """

    event: str
    bucket: str
    object: str
    generation: int
    attributes: Mapping[str, str]

    @property
    def path(self) -> str:
        """gs://BUCKET/OBJECT, without the generation."""
        return f"gs://{self.bucket}/{self.object}"

    @property
    def file(self) -> str:
        """The name of this content, as `gcloud storage` takes it: gs://BUCKET/OBJECT#GENERATION."""
        return f"{self.path}#{self.generation}"

    def filtered_by(self) -> str | None:
        """The name of the rule by which nothing is read: the type of an event that writes nothing, or one of FOLDER,
        MARKER and PART_OF_UPLOAD. None for a file to read.
        """
        if self.event != FINALIZED:
            return self.event
        if self.object.endswith("/"):
            return FOLDER
        if _PARTS_OF_UPLOADS in f"/{self.object}":
            return PART_OF_UPLOAD
        return None if is_data_path(self.object) else MARKER


def read_notification(attributes: Mapping[str, str]) -> Notification:
    """The notification in the attributes of a message; its data is not needed, so any payload format will do.

    Raises NotANotification.

    >>> read_notification({"eventType": "OBJECT_DELETE", "bucketId": "b", "objectId": "o", "objectGeneration": "7"})
    Notification(event='OBJECT_DELETE', bucket='b', object='o', generation=7, attributes={'eventType': ...})
    """
    missing = next((name for name in _REQUIRED if not attributes.get(name)), None)
    if missing is not None:
        raise NotANotification(
            f"not a notification of Cloud Storage: the attribute {missing} is missing; --files takes a subscription"
            " to the topic of `gcloud storage buckets notifications create`"
        )
    generation = attributes["objectGeneration"]
    if not (generation.isascii() and generation.isdecimal() and len(generation) <= 19):
        raise NotANotification(f"objectGeneration is {generation[:40]!r}, not a number")
    return Notification(
        attributes["eventType"], attributes["bucketId"], attributes["objectId"], int(generation), attributes
    )


def kind_of_file(notification: Notification) -> str:
    """The kind of the records in a file without a mapping: the custom attribute `kind` of the notification
    configuration. Raises InvalidRecord if it is missing or names no kind.
    """
    value = notification.attributes.get(ATTRIBUTE)
    if value in MODELS:
        return value
    configured = (
        f"create the notification configuration with --custom-attributes={ATTRIBUTE}=orders (or"
        f" {', '.join(kind for kind in MODELS if kind != 'orders')}), or use --mapping; then upload the file again"
    )
    if value is None:
        raise InvalidRecord(Reason.MISSING_FIELD, f"the notification has no attribute `{ATTRIBUTE}`: {configured}")
    raise InvalidRecord(Reason.INVALID_FIELD, f"the attribute `{ATTRIBUTE}` is {value[:60]!r}: {configured}")


def format_of_file(notification: Notification, kind: str, dialect: Dialect | None) -> Format:
    """The format of the file, by the ending of its name. `dialect` is that of CSV for a mapping.

    Raises UnknownFormat, and WrongFormat if records of `kind` cannot be in a file of this format.
    """
    stem = notification.path.lower().removesuffix(".gz")
    if stem.rpartition(".")[2] not in ENDINGS:
        raise UnknownFormat(
            "the name does not tell the format: upload the file under a name that ends in"
            f" {', '.join(f'.{ending}' for ending in ENDINGS)}; `--object-prefix` of the notification configuration"
            " keeps other files away"
        )
    file_format = format_of(notification.path, None, dialect)
    check_kind(kind, file_format)
    return file_format
