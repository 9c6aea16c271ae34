"""Regular expressions for the values of template parameters, without anchors. RE2 must accept them."""

BUCKET = r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"
TIME = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-5][0-9])?"
)  # fmt: skip
DURATION = r"[0-9]{1,6}[smhd]"
ZONE = r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*"
URL = r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[^\s?#]*)?"
SECRET = r"projects/[a-z0-9.:-]+/secrets/[A-Za-z0-9_-]{1,255}(/versions/[A-Za-z0-9_-]{1,63})?"  # nosec B105
HOST_PORT = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[1-9][0-9]{0,4}"
FILE_IN_IMAGE = r"/.+"
NO_SPACE = r"\S+"
ABOVE_ZERO = r"([1-9][0-9]{0,5}(\.[0-9]+)?|0\.[0-9]*[1-9][0-9]*)"
SECONDS = r"[0-9]{1,8}(\.[0-9]+)?"
WHOLE = r"[1-9][0-9]{0,5}"
UP_TO_1000 = r"([1-9][0-9]{0,2}|1000)"
SHARE = r"([0-9]+|(100(\.0+)?|[0-9]{1,2}(\.[0-9]+)?)%)"

_NAME = r"[A-Za-z][-A-Za-z0-9_.~+%]{2,254}"
_PROJECT = r"projects/[a-z][-a-z0-9:.]{4,61}[a-z0-9]"
TOPIC = f"{_PROJECT}/topics/{_NAME}"
TABLE = (
    r"(bq://)?([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9][:.][A-Za-z0-9_]{1,1000}[.][A-Za-z0-9_-]{1,1000}"
)  # fmt: skip
SUBSCRIPTIONS = f"{_PROJECT}/subscriptions/{_NAME}(,{_PROJECT}/subscriptions/{_NAME})*"
