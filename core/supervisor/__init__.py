"""The one process per workspace that drains the queue, watches workers and fills the database.

It may be killed at any instant: everything it knows is in line files, and its successor goes on from there. It must
not train, nor signal a worker: a wish reaches a worker as a line in its `control.jsonl`.
"""
