"""Tables read strictly, block by block: CSV and Parquet files, and folders of part files."""

from storage.tables.columns import read_columns
from storage.tables.csv_cuts import CsvChunk, CsvSpan, spans
from storage.tables.table_files import Part, find_parts, find_tables
from storage.tables.tables import AnySpan, SourceTable, Tell, ignore, read_table

__all__ = [
    "AnySpan",
    "CsvChunk",
    "CsvSpan",
    "Part",
    "SourceTable",
    "Tell",
    "find_parts",
    "find_tables",
    "ignore",
    "read_columns",
    "read_table",
    "spans",
]
