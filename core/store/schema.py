"""The tables of experiments.db, as the SQL of each schema version; released pieces are frozen, later ones are added.

Every table is filled from one kind of line file alone, so that the order in which files are read changes nothing; only
`runs`, `transitions` and the queue order mix the journal with moves, in the order that `core.store.state_fold` defines.
This module must not connect to anything.

Numbers that are not finite: SQLite turns a bound NaN into NULL. `points` and `summaries` hold NULL and a flag
(`core.store.numbers`), small tables hold the words nan, inf, -inf.
"""

from __future__ import annotations

SCHEMA_VERSION = 1

RUNS = """
CREATE TABLE runs (
    run_key INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    recipe_sha256 TEXT NOT NULL,
    method TEXT,
    objective TEXT,
    model TEXT,
    max_steps INTEGER,
    resumed_from TEXT,
    device TEXT NOT NULL,
    created_at REAL NOT NULL,
    imported INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL,
    outcome TEXT,
    attempt INTEGER NOT NULL DEFAULT 1,
    queue_rank INTEGER,
    why TEXT NOT NULL DEFAULT '',
    note TEXT NOT NULL DEFAULT '',
    CHECK ((state = 'finished') = (outcome IS NOT NULL))
);
CREATE INDEX runs_newest ON runs (kind, created_at DESC, run_id DESC);
CREATE INDEX runs_newest_of_all_kinds ON runs (created_at DESC, run_id DESC);
CREATE INDEX runs_unfinished ON runs (state) WHERE state <> 'finished';
CREATE INDEX runs_name ON runs (name);
CREATE TABLE transitions (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    position INTEGER NOT NULL,
    source TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    from_state TEXT,
    to_state TEXT NOT NULL,
    outcome TEXT,
    attempt INTEGER NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (run_key, position)
) WITHOUT ROWID;
CREATE TABLE removed_runs (
    run_id TEXT PRIMARY KEY,
    at REAL NOT NULL,
    bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE recipes (
    sha256 TEXT PRIMARY KEY,
    text TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE tags (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (run_key, tag)
) WITHOUT ROWID;
CREATE TABLE requests (
    request_id TEXT PRIMARY KEY,
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    action TEXT NOT NULL,
    arguments TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX requests_of_run ON requests (run_key, seq);
CREATE TABLE pinned_checkpoints (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    step INTEGER NOT NULL,
    PRIMARY KEY (run_key, step)
) WITHOUT ROWID;
CREATE TABLE collected_checkpoints (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    step INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (run_key, step)
) WITHOUT ROWID
"""

INGESTED = """
CREATE TABLE ingested_streams (
    run_id TEXT NOT NULL,
    stream TEXT NOT NULL,
    offset INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    tail_bytes INTEGER NOT NULL,
    tail_crc INTEGER NOT NULL,
    damaged_lines INTEGER NOT NULL,
    refused_lines INTEGER NOT NULL,
    PRIMARY KEY (run_id, stream)
) WITHOUT ROWID
"""

METRICS = """
CREATE TABLE metric_keys (
    key_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE points (
    run_key INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    step INTEGER NOT NULL,
    value REAL,
    flag INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run_key, key_id, step)
) WITHOUT ROWID;
CREATE TABLE axes (
    run_key INTEGER NOT NULL,
    step INTEGER NOT NULL,
    at REAL NOT NULL,
    epoch REAL,
    tokens INTEGER,
    elapsed_seconds REAL,
    PRIMARY KEY (run_key, step)
) WITHOUT ROWID;
CREATE TABLE summaries (
    run_key INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    last REAL,
    last_flag INTEGER NOT NULL,
    last_step INTEGER NOT NULL,
    minimum REAL,
    minimum_step INTEGER,
    maximum REAL,
    maximum_step INTEGER,
    count INTEGER NOT NULL,
    nan_count INTEGER NOT NULL,
    PRIMARY KEY (run_key, key_id)
) WITHOUT ROWID
"""

WORKER = """
CREATE TABLE progress (
    run_key INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    step INTEGER,
    max_steps INTEGER,
    phase TEXT,
    validation_key INTEGER REFERENCES metric_keys,
    best_step INTEGER,
    best_metric TEXT,
    best_value REAL
);
CREATE TABLE worker_starts (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    at REAL NOT NULL,
    pid INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    start_ticks INTEGER NOT NULL,
    device TEXT NOT NULL,
    resumed_from_step INTEGER,
    PRIMARY KEY (run_key, attempt)
) WITHOUT ROWID;
CREATE TABLE worker_ends (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    at REAL NOT NULL,
    outcome TEXT NOT NULL,
    message TEXT NOT NULL,
    step INTEGER,
    advice TEXT NOT NULL,
    totals TEXT NOT NULL,
    PRIMARY KEY (run_key, attempt)
) WITHOUT ROWID;
CREATE TABLE plans (
    run_key INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    max_steps INTEGER NOT NULL,
    num_train_epochs REAL NOT NULL,
    rows TEXT NOT NULL,
    parameters_total INTEGER NOT NULL,
    parameters_trained INTEGER NOT NULL,
    tokens_per_epoch INTEGER,
    tokens_trained_per_epoch INTEGER
);
CREATE TABLE choices (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    position INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (run_key, position)
) WITHOUT ROWID;
CREATE TABLE environments (
    run_key INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    text TEXT NOT NULL
);
CREATE TABLE dataset_versions (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    position INTEGER NOT NULL,
    path TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    rows INTEGER,
    bytes INTEGER,
    PRIMARY KEY (run_key, position)
) WITHOUT ROWID;
CREATE TABLE checkpoints (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    step INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at REAL NOT NULL,
    folder TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    manifest_sha256 TEXT NOT NULL,
    reason TEXT NOT NULL,
    seconds REAL NOT NULL,
    removed_because TEXT,
    PRIMARY KEY (run_key, step)
) WITHOUT ROWID;
CREATE TABLE best_changes (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    step INTEGER NOT NULL,
    metric TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (run_key, seq)
) WITHOUT ROWID;
CREATE TABLE evaluations (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    target_run_id TEXT NOT NULL,
    weights TEXT NOT NULL CHECK (weights IN ('memory', 'checkpoint', 'base')),
    step INTEGER NOT NULL,
    set_name TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    at REAL NOT NULL,
    role TEXT NOT NULL,
    metrics TEXT NOT NULL,
    rows INTEGER NOT NULL,
    seconds REAL NOT NULL,
    set_sha256 TEXT NOT NULL,
    checkpoint_sha256 TEXT,
    generation TEXT NOT NULL,
    PRIMARY KEY (run_key, target_run_id, weights, step, set_name)
) WITHOUT ROWID;
CREATE INDEX evaluations_of_target ON evaluations (target_run_id);
CREATE TABLE examples (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    target_run_id TEXT NOT NULL,
    weights TEXT NOT NULL,
    step INTEGER NOT NULL,
    set_name TEXT NOT NULL,
    metric TEXT NOT NULL,
    example_index INTEGER NOT NULL,
    output TEXT,
    score REAL,
    negative_log_likelihood REAL,
    output_tokens INTEGER,
    PRIMARY KEY (run_key, target_run_id, weights, step, set_name, metric, example_index)
);
CREATE INDEX examples_of_target ON examples (target_run_id, step);
CREATE TABLE answers (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    step INTEGER NOT NULL,
    prompt_index INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    answer TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    PRIMARY KEY (run_key, step, prompt_index)
);
CREATE TABLE health (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at REAL NOT NULL,
    rule TEXT NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL,
    step INTEGER,
    PRIMARY KEY (run_key, seq)
) WITHOUT ROWID;
CREATE TABLE request_answers (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    request_id TEXT NOT NULL,
    at REAL NOT NULL,
    ok INTEGER NOT NULL,
    message TEXT NOT NULL,
    checkpoint_step INTEGER,
    PRIMARY KEY (run_key, request_id)
) WITHOUT ROWID
"""

MACHINE = """
CREATE TABLE spawns (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    at REAL NOT NULL,
    pid INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    start_ticks INTEGER NOT NULL,
    detached_by TEXT NOT NULL,
    PRIMARY KEY (run_key, attempt)
) WITHOUT ROWID;
CREATE TABLE exits (
    run_key INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    at REAL NOT NULL,
    exit_code INTEGER,
    signal INTEGER,
    evidence TEXT NOT NULL,
    PRIMARY KEY (run_key, attempt)
) WITHOUT ROWID;
CREATE TABLE hardware_samples (
    run_key INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at REAL NOT NULL,
    gpu_uuid TEXT,
    gpu_name TEXT,
    gpu_utilisation_percent REAL,
    gpu_memory_used_bytes INTEGER,
    gpu_memory_total_bytes INTEGER,
    gpu_power_watts REAL,
    gpu_temperature_celsius REAL,
    cpu_percent REAL,
    host_memory_used_bytes INTEGER,
    host_memory_total_bytes INTEGER,
    worker_memory_bytes INTEGER,
    disk_free_bytes INTEGER,
    PRIMARY KEY (run_key, seq)
) WITHOUT ROWID
"""

STEPS: tuple[tuple[str, str], ...] = (
    ("create_runs", RUNS),
    ("create_ingested_streams", INGESTED),
    ("create_metrics", METRICS),
    ("create_worker_tables", WORKER),
    ("create_machine_tables", MACHINE),
)
"""Migration steps in order: name and SQL."""

FROM_EVENTS = (
    "points", "axes", "summaries", "progress", "worker_starts", "worker_ends", "plans", "choices", "environments",
    "dataset_versions", "checkpoints", "best_changes", "evaluations", "examples", "answers", "health",
    "request_answers",
)  # fmt: skip
"""Tables that a run's events.jsonl (and environment.json) alone fills."""

FROM_MACHINE = ("spawns", "exits", "hardware_samples")
"""Tables that the lines of supervisor.jsonl fill, moves excepted."""

FROM_PEOPLE = ("transitions", "tags", "requests", "pinned_checkpoints", "collected_checkpoints")
"""Tables of a run that the journal (with the moves) fills."""


def statements(sql: str) -> list[str]:
    """The single statements of one step; no statement of ours holds a semicolon inside."""
    return [statement.strip() for statement in sql.split(";") if statement.strip()]
