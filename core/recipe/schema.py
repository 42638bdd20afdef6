"""A whole recipe as one frozen object; the one place that other rooms import its types from.

It must not fill in or look up anything: a `Recipe` made here is valid by itself, key by key (see `load.py`).
"""

from __future__ import annotations

from typing import Annotated, cast

from pydantic import Field, StringConstraints
from pydantic.config import JsonDict

from core.recipe.schema_base import Section
from core.recipe.schema_data import (
    DataSection,
    DataSource,
    EvaluateSection,
    EvaluationSet,
    ModelSection,
)
from core.recipe.schema_train import (
    ALL_LINEAR,
    CheckpointSection,
    FullMethod,
    LoraMethod,
    LowRankMethod,
    Method,
    ObjectiveSection,
    QloraMethod,
    TrainSection,
)

__all__ = [
    "ALL_LINEAR",
    "CheckpointSection",
    "DataSection",
    "DataSource",
    "EvaluateSection",
    "EvaluationSet",
    "FullMethod",
    "LoraMethod",
    "LowRankMethod",
    "Method",
    "ModelSection",
    "ObjectiveSection",
    "QloraMethod",
    "Recipe",
    "Section",
    "TrainSection",
    "json_schema",
]


class Recipe(Section):
    """Everything that decides a run."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")] = Field(
        default="run", description="The run's label; it is never a path. Default: the file's name without its ending."
    )
    model: ModelSection = Field(description="The base model.")
    data: DataSection = Field(description="The training rows and how they become tokens.")
    method: Method = Field(description="Which weights are trained.")
    objective: ObjectiveSection = Field(default_factory=ObjectiveSection, description="What is optimised.")
    train: TrainSection = Field(default_factory=TrainSection, description="Optimizer, schedule, batches, length.")
    evaluate: EvaluateSection = Field(
        default_factory=EvaluateSection, description="What is measured besides the training loss, and when."
    )
    checkpoints: CheckpointSection = Field(
        default_factory=CheckpointSection, description="When the run is saved, and what is kept."
    )


def json_schema() -> JsonDict:
    """The JSON Schema (draft 2020-12) of a recipe, for an editor's completion."""
    schema = cast(JsonDict, Recipe.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "finetui recipe", **schema}
