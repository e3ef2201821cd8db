"""Door 1: score files. CSV and Parquet in and out, for cron."""
