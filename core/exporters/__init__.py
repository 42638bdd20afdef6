"""A run's metrics in the formats of other programs: CSV, Parquet, TensorBoard event files.

Each module writes one format from the same rows, which `points` reads from the store. Nothing is overwritten unless the
caller says so, and a file appears whole or not at all.
"""
