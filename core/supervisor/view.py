"""The supervisor's own window on the store: ingest what is new, then which runs live and which wait.

Rows are read again only where something was ingested. This module must not decide anything.
"""

from __future__ import annotations

