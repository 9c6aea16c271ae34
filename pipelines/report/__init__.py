"""The page report.html of a job: its data over time, its model, and the page that shows them."""
