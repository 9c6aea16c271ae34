"""What a job records about itself while it runs, for its page: its series over time, its runs and their settings."""
