"""`beam-talonone report`: the page of a job, as the job is now."""

from beam_talonone.pipelines.cli.parameters.groups import with_groups
from beam_talonone.pipelines.cli.parameters.report import ReportParameters


@with_groups
def report(*, options: ReportParameters) -> int:
    """Write report.html of a job again: charts, outcomes, dead letters. Also while the job runs, or after a kill."""
    from beam_talonone.pipelines.report.show import show_page

    return show_page(options.folder, browser=options.open)
