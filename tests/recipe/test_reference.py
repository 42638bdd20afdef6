"""The schema is the one declaration: page, JSON Schema and the tables of other rooms agree with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

from core.data.convert import FIELDS
from core.evaluate.tasks import TASKS
from core.recipe.names import SECTIONS
from core.recipe.presets import METHOD_PRESETS
from core.recipe.reference import reference
from core.recipe.schema import DataSource, EvaluationSet, Recipe, json_schema
from core.recipe.schema_data import FORMAT_FIELDS, Format, Task

ROOT = Path(__file__).parents[2]


def test_the_page_is_fresh() -> None:
    page = ROOT / "docs" / "recipe-reference.md"
    stale = "stale: python -m core.recipe.reference > docs/recipe-reference.md"
    assert page.read_text(encoding="utf-8") == reference(), stale


def test_every_field_is_explained_and_on_the_page() -> None:
    page, fields = reference(), 0
    classes = [class_ for classes in SECTIONS.values() for class_ in classes] + [DataSource, EvaluationSet]
    for class_ in classes:
        for key, declared in class_.model_fields.items():
            fields += 1
            assert declared.description, key
            assert f".{key}`" in page or key == "type"
    assert fields == 57


def test_the_json_schema_knows_every_section_and_refuses_others() -> None:
    schema = json.loads(json.dumps(json_schema(), allow_nan=False))
    assert set(schema["properties"]) == set(Recipe.model_fields)
    assert schema["additionalProperties"] is False
    train = schema["$defs"]["TrainSection"]
    assert train["additionalProperties"] is False
    assert train["properties"]["max_steps"]["unit"] == "optimizer steps"
    assert train["properties"]["learning_rate"]["exclusiveMinimum"] == 0


def test_formats_are_those_of_the_room_that_reads_rows() -> None:
    assert dict(FIELDS) == FORMAT_FIELDS
    assert set(get_args(Format)) == {"auto", *FIELDS}


def test_tasks_are_those_of_the_room_that_scores() -> None:
    assert set(get_args(Task)) == set(TASKS)


def test_presets_set_keys_that_exist() -> None:
    assert set(METHOD_PRESETS) == {get_args(class_.model_fields["type"].annotation)[0] for class_ in SECTIONS["method"]}
    for presets in METHOD_PRESETS.values():
        for key, preset in presets.items():
            section, _, field = key.partition(".")
            assert field in SECTIONS[section][0].model_fields
            assert preset.reason


def test_reading_a_recipe_is_light() -> None:
    code = (
        "import sys, time; start = time.process_time(); import core.recipe.load; spent = time.process_time() - start;"
        "heavy = {'numpy', 'pandas', 'torch', 'transformers', 'pyarrow', 'jinja2', 'tokenizers'} & set(sys.modules);"
        "print(sorted(heavy), spent)"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(3)
    ]
    assert {run[0] for run in runs} == {"[]"}
    assert (
        min(float(run[1]) for run in runs) < 0.6
    )  # seconds of CPU time; 0.2 measured, more where the other core is busy
