"""Reading and checking the files of a job on other cores, ahead of the process that stages the records."""
