"""The page report.html of a job: what its files say, its model, and the HTML that shows it."""
