"""Returns without a customer whose order is not in the input: the API is asked for the customer before they go."""

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob, Slice
from beam_talonone.pipelines.backfill.sending.journal import JournalContent
from beam_talonone.schemas.operations import get_customer_session
from beam_talonone.talonone.protocols.session_reads import profile_of


def returns_to_name(
    job: ActiveJob, part: Slice, selected: set[int] | None, recorded: JournalContent
) -> list[tuple[int, str]]:
    """The returns of a slice that are to be sent and whose customer is not known: (record, order)."""
    return [
        (rec, session)
        for number, rec, session in staging.unnamed_returns(job.connection, part.first, part.last)
        if (selected is None or number in selected) and number not in recorded.done
    ]


def find_customers(job: ActiveJob, returns: list[tuple[int, str]]) -> None:
    """Ask the API for the customers of `returns`, and note them in the staging database."""
    sessions = sorted({session for _, session in returns})
    answers = job.engine.answers([get_customer_session(session) for session in sessions], helping=True)
    customers = {session: profile_of(answer) for session, answer in zip(sessions, answers, strict=True)}
    job.connection.executemany(
        "UPDATE records SET customer = ? WHERE rec = ?", [(customers[session] or "", rec) for rec, session in returns]
    )
