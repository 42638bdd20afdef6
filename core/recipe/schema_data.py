"""The sections that say what goes in: the base model, the training rows, the evaluation sets.

Values are checked one by one here; what two keys mean together is `checks.py`, what exists on disk is `locate.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from core.recipe.schema_base import Section, facts

Format = Literal["auto", "messages", "sharegpt", "alpaca", "prompt_completion", "question_answer", "text"]
FORMAT_FIELDS: dict[str, tuple[str, ...]] = {
    "messages": ("messages", "tools"),
    "sharegpt": ("conversations", "system", "tools"),
    "alpaca": ("instruction", "input", "output", "system", "history"),
    "prompt_completion": ("prompt", "completion", "tools"),
    "question_answer": ("question", "answer", "system"),
    "text": ("text",),
}
"""The names that `fields` may map, by format; the room that reads rows has the same table (a test compares them)."""

Task = Literal["loss", "exact_match", "contains", "numeric_answer", "json_field_f1", "token_f1"]
Role = Literal["validation", "general", "test"]
SetName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$")]
FormatField = Annotated[
    Format, Field(description="How a row is laid out. `auto` looks at the first rows and says what it found.")
]
FieldNames = Annotated[
    dict[str, str],
    Field(description="Where names differ: the format's name → the file's name, as in `{question: problem}`."),
]


class ModelSection(Section):
    """The base model."""

    path: str = Field(
        min_length=1,
        description="A model folder (config, tokenizer, safetensors), a hub id `owner/name`, or `builtin:starter`. "
        "Folders are relative to the recipe; in `--set`, to the current folder.",
    )
    revision: str | None = Field(
        default=None, min_length=1, description="Branch, tag or commit of a hub id; null takes its main branch."
    )
    dtype: Literal["auto", "bfloat16", "float32"] = Field(
        default="auto",
        description="Number format of the base's weights. `auto`: bfloat16 where the hardware computes in it.",
    )
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = Field(
        default="auto",
        description="Attention implementation. `auto` takes the fastest one that is installed; `flash_attention_2` "
        "needs the flash-attn package.",
    )


class DataSource(Section):
    """One file of training rows."""

    path: str = Field(
        min_length=1,
        description="A JSONL, JSON, CSV, TSV, Parquet or text file (also .gz), or `builtin:starter/train`. Relative "
        "to the recipe; in `--set`, to the current folder.",
    )
    format: FormatField = "auto"
    fields: FieldNames = Field(default_factory=dict)
    weight: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        description="How often the file's rows count: 2 takes each row twice, 0.5 takes a drawn half.",
    )


class DataSection(Section):
    """The training rows and how they become tokens."""

    train: tuple[DataSource, ...] = Field(min_length=1, description="Files of training rows, mixed by weight.")
    max_length: int = Field(
        default=1024,
        ge=8,
        le=1_048_576,
        description="The longest row that is trained.",
        json_schema_extra=facts(unit="tokens", why="memory grows with it; rows that are longer are counted first"),
    )
    train_on: Literal["assistant", "last", "all"] = Field(
        default="assistant",
        description="Which tokens are learnt: every assistant answer, only the last one, or all tokens.",
    )
    overlong: Literal["truncate", "drop", "refuse"] = Field(
        default="truncate",
        description="What becomes of a row over `max_length`: cut at the end, left out, or an error.",
    )
    bad_rows: Literal["refuse", "skip"] = Field(
        default="refuse", description="What happens to a row that can't be read: an error with its line, or left out."
    )
    packing: bool = Field(
        default=False,
        description="Put several rows into one sequence of `max_length` tokens, kept apart from each other. Faster "
        "where rows are short and differ in length.",
    )


class EvaluationSet(Section):
    """Rows that are not trained, and how answers to them are scored. Exactly one of `path` and `from_train`."""

    path: str | None = Field(
        default=None, min_length=1, description="A data file, or one of `builtin:starter/…`; as in `data.train`."
    )
    from_train: int | None = Field(
        default=None,
        ge=1,
        description="Instead of a file: so many rows, drawn by the seed and held out of the training rows.",
        json_schema_extra=facts(unit="rows"),
    )
    task: Task = Field(
        default="loss",
        description="How it is scored. `loss` needs no generation; the others compare a greedy answer with the "
        "expected one. The loss is measured in any case.",
    )
    role: Role = Field(
        default="validation",
        description="`validation` steers (best checkpoint, early stopping), `general` shows what is forgotten, "
        "`test` is never opened while training.",
    )
    format: FormatField = "auto"
    fields: FieldNames = Field(default_factory=dict)


class EvaluateSection(Section):
    """What is measured besides the training loss, and when."""

    every_steps: int | None = Field(
        default=None,
        ge=1,
        description="Evaluate every so many optimizer steps, and at the end; null: at each checkpoint.",
        json_schema_extra=facts(unit="optimizer steps"),
    )
    sets: dict[SetName, EvaluationSet] = Field(default_factory=dict, description="Evaluation sets by name.")
    prompts: tuple[Annotated[str, StringConstraints(min_length=1, max_length=20_000)], ...] = Field(
        default=(), max_length=100, description="Prompts that are answered, greedily, at each evaluation."
    )
    early_stopping_patience: int | None = Field(
        default=None,
        ge=1,
        description="Stop after so many evaluations in which `checkpoints.best_metric` did not improve; null: never.",
        json_schema_extra=facts(unit="evaluations"),
    )
    max_new_tokens: int = Field(
        default=128,
        ge=1,
        le=32_768,
        description="The longest generated answer.",
        json_schema_extra=facts(unit="tokens"),
    )
    batch_size: int = Field(
        default=8,
        ge=1,
        le=4096,
        description="Rows evaluated at once. It changes speed and memory only.",
        json_schema_extra=facts(unit="rows"),
    )
