"""What a run folder keeps reads back as the same recipe; equal recipes have equal hashes, others a named difference."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.recipe.diff import Change, diff_recipes
from core.recipe.load import dump_recipe, load_resolved, recipe_sha256
from core.recipe.schema import Recipe

TRAPS = st.sampled_from(
    [
        *"~=<>#'\"%@`|?",
        "no",
        "on",
        "null",
        "1e-4",
        "012",
        "0x10",
        "1_000",
        "true",
        "<<",
        "- a",
        "a: b",
        "*a",
        "&a",
        "!x",
        ": ",
        "é\u2028ü",
        "\x85",
        " lead",
        "trail ",
        "a\nb",
        "\ttab",
        "",
        "😀",
        "\ufeff",
        "\x00",
        "---",
        "...",
        "a #b",
    ]
)
TEXT = TRAPS | st.text(st.characters(codec="utf-8"), max_size=40)
WORDS = (TEXT | st.text(string.printable, min_size=100, max_size=300)).filter(bool)
NAMES = st.text(string.ascii_letters + string.digits + "-_", max_size=20).map(lambda text: "s" + text)
POSITIVE = st.floats(1e-12, 1, allow_subnormal=False)
SETS = st.one_of(
    st.fixed_dictionaries({"path": WORDS, "fields": st.dictionaries(TEXT, TEXT, max_size=3)}),
    st.fixed_dictionaries({"from_train": st.integers(1, 1000)}),
)
RECIPES = st.fixed_dictionaries(
    {
        "name": st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=100)
        | st.just("no"),
        "model": st.fixed_dictionaries({"path": WORDS, "revision": st.none() | WORDS}),
        "data": st.fixed_dictionaries(
            {
                "train": st.lists(
                    st.fixed_dictionaries({"path": WORDS, "weight": POSITIVE}), min_size=1, max_size=3
                ).map(tuple)
            }
        ),
        "method": st.sampled_from([{"type": "full"}, {"type": "lora", "lora_target_modules": ("no", "1e-4")}])
        | st.fixed_dictionaries({"type": st.just("qlora"), "lora_r": st.integers(1, 64)}),
        "train": st.fixed_dictionaries(
            {"learning_rate": POSITIVE, "adam_epsilon": POSITIVE, "max_steps": st.none() | st.integers(1, 10**7)}
        ),
        "evaluate": st.fixed_dictionaries(
            {
                "sets": st.dictionaries(NAMES, SETS, max_size=3),
                "prompts": st.lists(WORDS, max_size=3).map(tuple),
            }
        ),
    }
).map(Recipe.model_validate)


def one(**changes: object) -> Recipe:
    raw: dict[str, object] = {
        "model": {"path": "builtin:starter"},
        "data": {"train": ({"path": "a"}, {"path": "b"})},
        "method": {"type": "lora"},
    }
    return Recipe.model_validate({**raw, **changes})


@settings(max_examples=80, deadline=None)
@given(recipe=RECIPES)
def test_a_dumped_recipe_reads_back_equal(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "round.yaml"
    text = dump_recipe(recipe)
    path.write_text(text, encoding="utf-8")
    again = load_resolved(path)
    assert again == recipe
    assert dump_recipe(again) == text
    assert recipe_sha256(again) == recipe_sha256(recipe)
    assert diff_recipes(recipe, again) == ()


def test_every_key_is_written(tmp_path: Path) -> None:
    lines = dump_recipe(one()).splitlines()
    keys = {line.strip().partition(":")[0].removeprefix("- ") for line in lines}
    assert {"revision", "packing", "lora_dropout", "adam_beta2", "early_stopping_patience", "best_metric"} <= keys


def test_the_hash_ignores_order_and_sees_every_value() -> None:
    ordered = one(
        train={"seed": 1, "max_steps": 5}, evaluate={"sets": {"a": {"from_train": 1}, "b": {"from_train": 2}}}
    )
    turned = one(evaluate={"sets": {"b": {"from_train": 2}, "a": {"from_train": 1}}}, train={"max_steps": 5, "seed": 1})
    assert recipe_sha256(ordered) == recipe_sha256(turned)
    assert (
        len({recipe_sha256(one()), recipe_sha256(one(name="x")), recipe_sha256(one(train={"adam_beta2": 0.99}))}) == 3
    )


def test_a_difference_names_keys_and_values() -> None:
    before = one(train={"learning_rate": 1e-4})
    after = one(name="other", method={"type": "full"}, train={"learning_rate": 2e-4}, data={"train": ({"path": "a"},)})
    changes = diff_recipes(before, after)
    assert changes[0] == Change("name", "run", "other")
    assert Change("data.train.1.path", "b", None) in changes
    assert Change("method.type", "lora", "full") in changes
    assert Change("method.lora_r", 16, None) in changes
    assert changes[-1] == Change("train.learning_rate", 1e-4, 2e-4)
    assert len(changes) == 1 + 3 + 5 + 1
    assert diff_recipes(after, before)[-1] == Change("train.learning_rate", 2e-4, 1e-4)
