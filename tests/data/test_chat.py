"""Model folders that are broken, hostile or unusual get a clear answer; templates run in the sandbox alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.data.chat import ChatTokenizer
from core.data.template import ChatTemplate
from core.errors import DatasetError, ModelError
from tests.data.families import CHATML, HEADERS, write_model_folder

TURNS = [{"role": "user", "content": "hi <b>"}]


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model folder"):
        ChatTokenizer.load(tmp_path / "none")
    with pytest.raises(ModelError, match=r"has no tokenizer\.json"):
        ChatTokenizer.load(tmp_path)
    folder = write_model_folder(tmp_path / "model", CHATML)
    (folder / "tokenizer_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"tokenizer_config\.json can't be read"):
        ChatTokenizer.load(folder)
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    with pytest.raises(ModelError, match="can't be read as a tokenizer"):
        ChatTokenizer.load(folder)


def test_a_template_file_wins_over_the_configuration(tmp_path: Path) -> None:
    folder = write_model_folder(tmp_path, CHATML)
    before = ChatTokenizer.load(folder)
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    after = ChatTokenizer.load(folder)
    assert after.render(TURNS) == "hi <b>"
    assert before.template_sha256 != after.template_sha256
    assert before.sha256 == after.sha256


def test_named_templates_need_a_default(tmp_path: Path) -> None:
    named = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]
    assert ChatTokenizer.load(write_model_folder(tmp_path, CHATML, chat_template=named)).render(TURNS) == "d"
    with pytest.raises(ModelError, match="none is called default"):
        ChatTokenizer.load(write_model_folder(tmp_path, CHATML, chat_template=named[:1]))


def test_a_template_that_does_not_parse_is_a_fault_of_the_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"does not parse \(line 2\)"):
        ChatTokenizer.load(write_model_folder(tmp_path, CHATML, chat_template="{{ messages }}\n{% for %}"))


def test_stop_tokens_are_collected_from_all_places(tmp_path: Path) -> None:
    folder = write_model_folder(tmp_path, HEADERS)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [3, 4]}))
    tokenizer = ChatTokenizer.load(folder)
    end_of_turn = tokenizer.encode("<|eot_id|>")[0]
    assert tokenizer.stop_token_ids == tuple(dict.fromkeys((tokenizer.eos_token_id, 3, 4, end_of_turn)))


def test_padding_falls_back_to_the_end_token(tmp_path: Path) -> None:
    tokenizer = ChatTokenizer.load(write_model_folder(tmp_path, CHATML))
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    assert tokenizer.bos_token_id is None


def render(source: str, **tokens: str) -> str:
    return ChatTemplate(source, tokens).render(TURNS)


def test_rendering_follows_the_rules_of_chat_templates() -> None:
    assert render("{{ {'a': '<ü>'} | tojson }}") == '{"a": "<ü>"}'
    assert render("{{ messages | tojson(indent=1) }}") == json.dumps(TURNS, indent=1)
    assert render("  {% if true %}\nx\n  {% endif %}\ny") == "x\ny"
    assert render("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}") == "01"
    assert render("{{ bos_token }}{{ eos_token }}", bos_token="<s>") == "<s>"
    assert (
        render("{% set ns = namespace(n=1) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}")
        == "2"
    )
    assert render("{{ tools is none }} {{ documents is none }} {{ add_generation_prompt }}") == "True True False"
    assert len(render("{{ strftime_now('%Y-%m-%d') }}")) == 10


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('no \x1b[2J system here') }}",
        "{{ messages[0].nothing.more }}",
        "{{ messages[0]['content'] + 5 }}",
        "{{ messages.__class__.__mro__ }}{{ ''.__class__.__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{% set ns = namespace() %}{% set ns.__init__ = 1 %}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{% for i in range(10000000) %}x{% endfor %}",
        "{{ (1).__class__.__base__ }}{{ messages.sort() }}",
    ],
)
def test_refusals_and_break_outs_are_errors_of_the_row(source: str) -> None:
    with pytest.raises(DatasetError, match="chat template refuses") as caught:
        render(source)
    assert "\x1b" not in str(caught.value)


def test_messages_are_not_changed_by_a_template() -> None:
    turns = [{"role": "user", "content": "hi"}]
    with pytest.raises(DatasetError):
        ChatTemplate("{{ messages[0].update(role='x') }}", {}).render(turns)
    assert turns == [{"role": "user", "content": "hi"}]
