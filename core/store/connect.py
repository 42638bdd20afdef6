"""The two doors of the store: `open_reader` for everybody, `open_writer` for the one holder of the ingest lock."""

from core.store.reader import open_reader
from core.store.writer import open_writer

__all__ = ["open_reader", "open_writer"]
