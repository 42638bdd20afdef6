"""A recipe is resolved completely, or every one of its problems is said at once, with its line and what to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import RecipeError
from core.recipe.load import check_recipe, load_recipe, load_resolved
from core.recipe.names import OTHER_NAMES, hint_for_key
from core.recipe.schema import FullMethod, LowRankMethod, QloraMethod, TrainSection
from tests.recipe.conftest import MINIMAL

Write = Callable[[str], Path]


def said(path: Path, *overrides: str, folder: Path | None = None) -> list[str]:
    return [str(problem).replace(f"{path}:", "") for problem in check_recipe(path, overrides, folder)]


def test_a_minimal_recipe_is_completed(write: Write, folder: Path) -> None:
    loaded = load_recipe(write(MINIMAL))
    recipe = loaded.recipe
    assert recipe.name == "one"
    assert recipe.model.path == str(folder / "model")
    assert recipe.data.train[0].path == str(folder / "rows.jsonl")
    assert recipe.train.learning_rate == 2e-4
    assert isinstance(recipe.method, QloraMethod)
    assert (recipe.method.lora_r, recipe.method.lora_alpha) == (16, 32)
    assert recipe.train.per_device_train_batch_size * recipe.train.gradient_accumulation_steps == 16
    assert recipe.checkpoints.best_metric == "validation.loss"
    assert loaded.warnings == ()
    chosen = {choice.key: choice for choice in loaded.choices}
    assert chosen["train.learning_rate"].value == 2e-4
    assert chosen["train.learning_rate"].source == "preset qlora"
    assert chosen["name"].source == "file name"
    assert all(choice.reason for choice in loaded.choices)


def test_what_is_written_is_no_choice(write: Write) -> None:
    loaded = load_recipe(write(MINIMAL + "train: {learning_rate: 1e-4, seed: 7}\nname: mine\n"))
    keys = {choice.key for choice in loaded.choices}
    assert not keys & {"train.learning_rate", "train.seed", "name", "model.path"}
    assert {f"train.{key}" for key in TrainSection.model_fields} - keys == {
        "train.learning_rate", "train.seed", "train.max_steps",
    }  # fmt: skip


def test_null_leaves_a_value_open(write: Write) -> None:
    recipe = load_recipe(
        write(MINIMAL + "train:\n  learning_rate: null\n  optim:\nobjective:\ncheckpoints: ~\n")
    ).recipe
    assert recipe.train.learning_rate == 2e-4
    assert recipe.train.optim == "adamw_torch_fused"
    assert recipe.checkpoints.keep == 3


@pytest.mark.parametrize(("given", "other"), [(1, 16), (2, 8), (8, 2), (16, 1), (64, 1), (5, 3)])
def test_the_open_half_of_the_batch_completes_the_other(write: Write, given: int, other: int) -> None:
    path = write(MINIMAL + f"train: {{per_device_train_batch_size: {given}}}\n")
    assert load_recipe(path).recipe.train.gradient_accumulation_steps == other
    path = write(MINIMAL + f"train: {{gradient_accumulation_steps: {given}}}\n")
    assert load_recipe(path).recipe.train.per_device_train_batch_size == other


def test_every_problem_at_once(write: Write, folder: Path) -> None:
    path = write(
        """\
name: 12
model: {path: ./nowhere, torch_dtype: auto, dtype: bf16}
data:
  train:
    - path: rows.jsonl
      format: question_answer
      fields: {question: q, anwser: a}
    - {path: absent.jsonl, formt: auto}
  max_length: "512"
  max_length: 3
method:
  type: lora
  lora_rank: 8
  lora_target_modules: [q_proj, model.lm_head]
train:
  learnig_rate: 1e-4
  warmup_ratio: 0.1
  seed: true
  max_grad_norm: .nan
  lora_alpha: 3
evaluate:
  sets:
    task: {from_train: 3, path: held.jsonl, role: vlidation}
    exam: {from_train: 3, role: test}
checkpoints: {best_metric: tsk.loss, keep: 1.5}
lr: 3
"""
    )
    problems = said(path, "train.optim=adamw", "train.seed", "a..b=1", "train.learning_rate.x=1", "data.train.7.path=x")
    assert problems == [
        "1: name: must be text, not 12 (put it in quotes)",
        f"2: model.path: there is no model folder '{folder}/nowhere' "
        "(a folder, a hub id like owner/name, or builtin:starter)",
        "2: model.dtype: must be one of auto, bfloat16, float32, not 'bf16' (here it is bfloat16)",
        "2: model.torch_dtype: unknown key (here it is model.dtype)",
        "7: data.train.0.fields.anwser: the format question_answer has no field of this name (did you mean answer?)",
        f"8: data.train.1.path: there is no file '{folder}/absent.jsonl' (mend it here, or --set data.train.1.path=…)",
        "8: data.train.1.formt: unknown key (did you mean format?)",
        "9: data.max_length: must be a whole number, not '512' (write 512 without quotes)",
        "10: data.max_length: this key was already given in line 9 (keep one of them)",
        "13: method.lora_rank: unknown key (did you mean lora_r?)",
        "14: method.lora_target_modules: lm_head can't carry an adapter: the loss is computed inside the output head, "
        "past any adapter (leave lm_head out)",
        "16: train.learnig_rate: unknown key (did you mean learning_rate?)",
        "17: train.warmup_ratio: unknown key (here it is train.warmup_steps, below 1 a share of all steps)",
        "18: train.seed: must be a whole number, not true",
        "19: train.max_grad_norm: must be a finite number, not nan",
        "20: train.lora_alpha: unknown key (did you mean method.lora_alpha?)",
        "23: evaluate.sets.task.role: must be one of validation, general, test, not 'vlidation' "
        "(did you mean validation?)",
        "23: evaluate.sets.task: needs exactly one of path and from_train, not both",
        "24: evaluate.sets.exam.from_train: a test set needs a file of its own, so that no training run opens it "
        "(path: …, or role: validation)",
        "25: checkpoints.keep: must be a whole number, not 1.5",
        "25: checkpoints.best_metric: 'tsk.loss' is not <set>.<metric> of one of evaluate.sets "
        "(did you mean task.loss?)",
        "26: lr: unknown key (here it is train.learning_rate)",
        "--set: 'train.seed' is not of the form key=value (as in --set train.max_steps=20)",
        "--set: 'a..b=1' is not of the form key=value (as in --set train.max_steps=20)",
        "--set: data.train.7.path: data.train has 2 items; the next free number is 2",
        "--set: train.learning_rate: must be a number, not a mapping",
        "--set: train.optim: must be one of adamw_torch_fused, adamw_torch, adamw_8bit, paged_adamw_8bit, "
        "paged_adamw_32bit, adafactor, sgd, not 'adamw' (here it is adamw_torch_fused)",
    ]  # fmt: skip
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert len(caught.value.problems) == 22


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "is empty"),
        ("- a\n", "must be a mapping of sections"),
        ("method: lora\n", "method: must be a mapping of keys, not 'lora' (as in method: {type: qlora})"),
        ("method: {}\n", "method.type: is missing; one of full, lora, qlora"),
        ("method: {type: loar}\n", "must be one of full, lora, qlora, not 'loar' (did you mean lora?)"),
        ("method: {type: full, lora_r: 8}\n", "method.lora_r: unknown key (it belongs to the methods lora and qlora)"),
        ("method: {type: lora, lora_target_modules: q_proj}\n", "must be all-linear or a list of module names"),
        ("method: {type: lora, lora_target_modules: [all-linear]}\n", "all-linear stands alone"),
        ("data: {train: rows.jsonl}\n", "data.train: must be a list, not 'rows.jsonl' (a list of files"),
        ("data: {train: [rows.jsonl]}\n", "data.train.0: must be a mapping of keys, not 'rows.jsonl' (as in - path:"),
        ("data: {train: []}\n", "data.train: needs at least 1 item"),
        ("data: {}\n", "data.train: is missing (a list of files"),
        ("trian: {}\n", "trian: unknown key (did you mean train?)"),
        ("evaluate: {sets: {a.b: {from_train: 1}}}\n", "'a.b' is no name"),
        ("evaluate: {sets: {a: {}}}\n", "needs exactly one of path and from_train"),
        ("evaluate: {early_stopping_patience: 2}\n", "needs a set with role validation"),
        ("evaluate: {prompts: [12]}\n", "evaluate.prompts.0: must be text, not 12 (put it in quotes)"),
        ("evaluate: {sets: {v: {from_train: 3, task: contains}}}\ncheckpoints: {best_metric: v.exact_match}\n",
         "the set v has loss and contains, not 'exact_match'"),
        ("evaluate: {sets: {v: {path: held.jsonl, role: test}}}\ncheckpoints: {best_metric: v.loss}\n",
         "v is a test set, which is never opened while training"),
        ("checkpoints: {best_metric: eval_loss}\n", "is not <set>.<metric>"),
        ("train: {learning_rate: '1e-4'}\n", "must be a number, not '1e-4' (write 1e-4 without quotes)"),
        ("train:\n  learning_rate: 0,5\n", "must be a number, not '0,5' (write 0.5 without quotes)"),
        ("train: {max_steps: 1_000}\n", "must be a whole number, not '1_000' (write 1000 without quotes)"),
        ("train: {activation_checkpointing: yes}\n", "must be true or false, not 'yes' (write true)"),
        ("train: {learning_rate: 0}\n", "must be above 0, not 0"),
        ("train: {adam_beta1: 1}\n", "must be below 1, not 1"),
        ("train: {max_steps: 0}\n", "must be at least 1, not 0"),
        ("train: {seed: 4294967296}\n", "must be at most 4,294,967,295"),
        ("train: {warmup_steps: 2.5}\n", "must be a whole number of steps, or below 1"),
        ("train: {weight_decay: 1" + "0" * 400 + "}\n", "train.weight_decay: must be"),
        ("model: {path: builtin:strater}\n", "builtin:strater is unknown"),
        ("model: {path: rows.jsonl}\n", "is a file"),
        ("model: {path: nothing}\n", "there is no model folder"),
        ("model: {path: a/b/c}\n", "there is no model folder"),
        ("model: {path: ~/nowhere-at-all}\n", "there is no model folder"),
        ("model: {path: .}\n", "holds no config.json"),
        ("model: {path: ''}\n", "model.path: must not be empty"),
        ("model: {path: model, attention: flash_attention_2, dtype: float32}\n", "computes in bfloat16 only"),
        ("model: {path: model, trust_remote_code: true}\n", "finetui never runs code that comes with a model"),
        ("data: {train: [{path: model}]}\n", "is not a file"),
        ("data: {train: [{path: openai/gsm8k}]}\n", "download it first"),
        ("data: {train: [{path: empty.jsonl}]}\n", "is empty"),
        ("data: {train: [{path: rows.jsonl, format: chatml}]}\n", "(here it is messages)"),
        ("data: {train: [{path: rows.jsonl, weight: 0}]}\n", "must be above 0, not 0"),
    ],
)  # fmt: skip
def test_one_mistake_one_sentence(write: Write, folder: Path, text: str, wanted: str) -> None:
    (folder / "empty.jsonl").touch()
    sections = [line for line in MINIMAL.splitlines() if not any(new.startswith(line[:5]) for new in text.splitlines())]
    whole = text + "\n".join(sections) if text and not text.startswith("-") else text
    problems = [str(problem) for problem in check_recipe(write(whole)) if problem.level == "error"]
    assert len([problem for problem in problems if wanted in problem]) == 1, problems
    assert len(problems) == 1 or "best_metric" in text or "sets: {a" in text


@pytest.mark.parametrize("name", sorted(OTHER_NAMES))
def test_names_of_other_tools_lead_to_ours(write: Write, name: str) -> None:
    for text in (f"{name}: 1\n", f"train: {{{name}: 1}}\n"):
        problems = [problem for problem in check_recipe(write(MINIMAL + text)) if "unknown key" in problem.what]
        assert len(problems) <= 1
        assert all(problem.try_this for problem in problems)
    first = OTHER_NAMES[name].split(":")[0].split(",")[0].split()[0]
    if first != "nothing":
        section, _, key = first.partition(".")
        from core.recipe.names import SECTIONS

        assert section in SECTIONS
        assert not key or any(key in class_.model_fields for class_ in SECTIONS[section])


@settings(deadline=None)
@given(key=st.sampled_from(sorted(key for key in TrainSection.model_fields if len(key) > 6)), data=st.data())
def test_a_slip_of_one_letter_finds_the_key(key: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(key) - 1))
    slip = key[:position] + key[position + 1 :]
    if slip not in (*TrainSection.model_fields, "adam_beta"):
        assert key in hint_for_key(slip, TrainSection.model_fields, "train")


def test_paths_of_the_file_and_of_overrides(write: Write, folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "m").mkdir(parents=True)
    (elsewhere / "m" / "config.json").touch()
    (elsewhere / "new.jsonl").write_text("{}\n")
    overrides = (
        "model.path=m",
        "data.train.0.path=new.jsonl",
        "data.train.1.path=../more.jsonl",
        "evaluate.sets.held={path: new.jsonl, role: general}",
        "train.max_steps=20",
        "evaluate.prompts.0=What is it?",
    )
    recipe = load_recipe(write(MINIMAL), overrides, elsewhere).recipe
    assert recipe.model.path == str(elsewhere / "m")
    assert [source.path for source in recipe.data.train] == [str(elsewhere / "new.jsonl"), str(folder / "more.jsonl")]
    assert recipe.evaluate.sets["held"].path == str(elsewhere / "new.jsonl")
    assert recipe.train.max_steps == 20
    assert recipe.evaluate.prompts == ("What is it?",)
    assert [problem.file for problem in check_recipe(write(MINIMAL), ["data.train.0.path=rows.jsonl"], elsewhere)] == [
        "--set"
    ]


def test_home_and_working_folder(write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder / "model")
    path = write(MINIMAL)
    assert load_recipe(path, ["data.train.0.path=~/more.jsonl"]).recipe.data.train[0].path == str(folder / "more.jsonl")
    assert load_recipe(path, ["model.path=."]).recipe.model.path == str(folder / "model")
    assert load_recipe(Path("../one.yaml")).recipe.data.train[0].path == str(folder / "rows.jsonl")


def test_a_hub_id_is_kept_and_said(write: Write) -> None:
    loaded = load_recipe(write(MINIMAL), ["model.path=HuggingFaceTB/SmolLM2-135M", "model.revision=main"])
    assert loaded.recipe.model.path == "HuggingFaceTB/SmolLM2-135M"
    assert [choice.source for choice in loaded.choices if choice.key == "model.path"] == ["hub id"]
    assert not loaded.warnings


def test_changing_the_method_takes_its_preset_and_drops_what_has_no_meaning(write: Write) -> None:
    path = write(MINIMAL.replace("type: qlora", "type: qlora, lora_r: 8, lora_alpha: 16"))
    loaded = load_recipe(path, ["method.type=full"])
    assert loaded.recipe.method == FullMethod()
    assert loaded.recipe.train.learning_rate == 2e-5
    said_why = {choice.key: choice.source for choice in loaded.choices}
    assert said_why["train.learning_rate"] == "preset full"
    assert said_why["method.lora_r"] == said_why["method.lora_alpha"] == "--set method.type"
    kept = load_recipe(path, ["method.type=lora"]).recipe.method
    assert isinstance(kept, LowRankMethod) and kept.lora_r == 8
    assert load_recipe(path, ["method.type=full", "train.learning_rate=3e-5"]).recipe.train.learning_rate == 3e-5
    assert "method.lora_r" in said(path, "method.type=full", "method.lora_r=4")[0]


@pytest.mark.parametrize(
    ("overrides", "wanted"),
    [
        (["train.learning_rate=1e-3", "method.type=full"], "train.learning_rate: 0.001 is high for full"),
        (["train.learning_rate=2e-5"], "adapters hardly move"),
        (["train.max_steps=10", "train.warmup_steps=10"], "never reaches its peak"),
        (["train.min_lr_rate=0.3"], "takes no notice of it"),
        (["evaluate.sets.validation={path: rows.jsonl}"], "is trained on as well"),
        (["evaluate.sets.validation.role=general"], "nothing will say which checkpoint is best"),
        (["evaluate.every_steps=30", "checkpoints.every_steps=50"], "can't be best"),
        (["model.revision=main"], "only a hub id has revisions"),
    ],
)
def test_likely_mistakes_are_warnings(write: Write, folder: Path, overrides: list[str], wanted: str) -> None:
    loaded = load_recipe(write(MINIMAL), overrides, folder)
    assert [wanted in problem.what or wanted in str(problem) for problem in loaded.warnings] == [True]


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_override_is_taken_or_explained(tmp_path_factory: pytest.TempPathFactory, key: str, value: str) -> None:
    path = tmp_path_factory.getbasetemp() / "override.yaml"
    path.write_text(MINIMAL)
    for override in (f"{key}={value}", f"train.{key}={value}", f"data.train.0.path={value}", f"name={value}"):
        for problem in check_recipe(path, [override]):
            assert problem.what


@pytest.mark.parametrize("depth", [40, 5000])
def test_a_very_deep_override_is_refused(write: Write, depth: int) -> None:
    assert "not of the form" in said(write(MINIMAL), ".".join(["a"] * depth) + "=1")[0]


def test_foreign_characters_are_made_visible(write: Write) -> None:
    for problem in check_recipe(write(MINIMAL), ["train.\x1b[31m=1", "train.optim=\u202eabc", "name=\x1b]52;c;x\x07"]):
        assert str(problem).isprintable()


def test_a_resolved_recipe_needs_nothing_on_the_disk(write: Write, folder: Path, tmp_path: Path) -> None:
    from core.recipe.load import dump_recipe

    recipe = load_recipe(write(MINIMAL)).recipe
    kept = tmp_path / "recipe.yaml"
    kept.write_text(dump_recipe(recipe))
    (folder / "rows.jsonl").unlink()
    assert load_resolved(kept) == recipe
    kept.write_text(kept.read_text().replace("seed: 42", "seed: x\n  sede: 1") + "modle: 1\n")
    with pytest.raises(RecipeError) as caught:
        load_resolved(kept)
    assert [problem.key for problem in caught.value.problems] == ["train.seed", "train.sede", "modle"]
