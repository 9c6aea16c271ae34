"""Avro and Parquet files decoded in a process of their own, which may crash without the job."""
