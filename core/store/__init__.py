"""The experiment store: `experiments.db` as an index over the journal and the run folders, and the only room with SQL.

One process at a time writes (it holds the ingest lock); everybody else reads. Nothing here starts a run or judges one.
Importing a part of this room must stay cheap: the standard library's sqlite3 only, on the reading and ingesting path.
"""
