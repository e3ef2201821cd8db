"""Tables read strictly, block by block: CSV and Parquet files, and folders of part files."""
