"""The operation table: a row for each operation of the Integration API, with the models of its body above it.

Operations have the names of the official SDK. The source of each row is the page of the operation of the same name in
the vendor's Integration API reference (https://docs.talon.one/integration-api).

>>> reopen_customer_session("3001").target()
'/v2/customer_sessions/3001/reopen'
"""

from beam_talonone.schemas.operation import OPERATIONS, Operation, SafeToRepeat, Says

# Each area fills the table when it is imported, and this is the table's order.
# isort: off
from beam_talonone.schemas.operations.sessions import get_customer_session, reopen_customer_session
from beam_talonone.schemas.operations.profiles import get_customer_inventory
from beam_talonone.schemas.operations.events import get_event_v3
from beam_talonone.schemas.operations import audiences  # noqa: F401
from beam_talonone.schemas.operations import coupons  # noqa: F401
from beam_talonone.schemas.operations import referrals  # noqa: F401
from beam_talonone.schemas.operations.cards import get_loyalty_card_balances
from beam_talonone.schemas.operations import loyalty  # noqa: F401
from beam_talonone.schemas.operations import catalogs  # noqa: F401
from beam_talonone.schemas.operations import campaigns  # noqa: F401

# isort: on

__all__ = [
    "OPERATIONS",
    "Operation",
    "SafeToRepeat",
    "Says",
    "get_customer_inventory",
    "get_customer_session",
    "get_event_v3",
    "get_loyalty_card_balances",
    "reopen_customer_session",
]
