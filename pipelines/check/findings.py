"""What a check finds out while the input is read: the fields of problems, and what a mapping leaves aside."""

from collections.abc import Sequence

from beam_talonone.pipelines.backfill.staging_rows import KIND, REASON, StagedRecord
from beam_talonone.pipelines.check.problem_fields import ProblemFields
from beam_talonone.pipelines.mappings.coverage import Coverage


class Findings:
    """The ReadingObserver of a check. `coverage` is the one that the mapping of the run adds to."""

    def __init__(self, coverage: Coverage) -> None:
        self.coverage = coverage
        self.fields = ProblemFields()

    def on_batch(self, records: Sequence[StagedRecord]) -> None:
        """Count the fields at fault."""
        for record in records:
            if record.outcome is not None and record.outcome[REASON] is not None:
                self.fields.add(record.row[KIND], record.outcome[REASON], record.problem_fields)

    def forget(self) -> None:
        """Begin a new coverage, in a forked process."""
        self.coverage.forget()

    def findings(self) -> bytes:
        """The coverage of a forked process."""
        return self.coverage.findings()

    def add(self, findings: bytes) -> None:
        """Merge the coverage of a forked process."""
        self.coverage.merge(findings)
