"""The `source` of a dead letter that came from a message, and the name by which its repeat is recognized."""

FILES = "files"
"""The option whose subscriptions have notifications about the files of a bucket."""


def record_name(message_id: str, position: int, part: str | None) -> str:
    """The name of one record of a message: `17/2` is the second record in message 17, and `17/returns/0/1` the record
    that a mapping made as that part of its document. The only record of a message has the message's own name.

    >>> record_name("17", 2, "returns/0/1")
    '17/2/returns/0/1'
    """
    return "/".join([message_id, *([str(position)] if position else []), *([part] if part else [])])


def source_of(subscription: str, name: str) -> dict[str, str]:
    """The source of the record `name` (see `record_name`). `part` is what a replay finds the record by.

    >>> source_of("projects/p/subscriptions/s", "17/2/returns/0/1")["part"]
    'returns/0/1'
    """
    source = {"subscription": subscription, "message_id": name}
    _, _, place = name.partition("/")
    first, _, rest = place.partition("/")
    part = rest if first.isdecimal() else place
    return source | ({"part": part} if part else {})


def delivery_name(subscription: str, name: str, file: str | None = None) -> tuple[str, str]:
    """What every delivery of the record `name` has in common. For a record of a file, these are the file and the
    place in it, because several messages may announce one file.

    >>> delivery_name("projects/p/subscriptions/s", "17/2", "gs://b/orders.csv#1700000000000000")
    ('gs://b/orders.csv#1700000000000000', '2')
    """
    return (subscription, name) if file is None else (file, name.partition("/")[2])
