"""The starter: a tiny base model, its tokenizer and its sets of rows, so that the first minute needs no network.

This room makes the texts and hands out paths; the program that trains the base is a worker job, and torch stays there.
"""

from __future__ import annotations

from core.starter.package import NAMES, VERSION, Record, record, resolve, verify

__all__ = ["NAMES", "VERSION", "Record", "record", "resolve", "verify"]
