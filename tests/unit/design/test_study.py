"""What a study file may and may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from psymetric.design import Study
from psymetric.design.settings import TextSource
from psymetric.errors import StudyError

URL = "http://127.0.0.1:8000/v1"
STUDY = f"""
study: empathy-of-support-bots
instrument: empathy-rubric              # built in, or a path to a YAML file
subjects: {{from: conversations.jsonl, id: conversation, text: transcript}}
judges:
  - {{name: small, provider: openai_compatible, base_url: "{URL}", model: small-judge, key_env: JUDGE_KEY}}
  - {{name: large, provider: openai_compatible, base_url: "{URL}", model: large, price: {{input: 2.5, output: 10}}}}
facets: {{template: all, order: cyclic, label: [letters, numbers], occasion: 2}}
design: {{kind: fractional, calls: 2000}}
readout: logprob
model: {{kind: many_facet_rasch, steps: item}}
engine: nuts
budget: {{cost: 5.00}}
"""


def test_the_documented_study_is_read() -> None:
    study = Study.from_text(STUDY)
    assert isinstance(study.subjects, TextSource)
    assert (study.subjects.from_, study.subjects.id, study.subjects.text) == (
        "conversations.jsonl",
        "conversation",
        "transcript",
    )
    assert [judge.name for judge in study.endpoints] == ["small", "large"]
    assert (study.facets.template, study.facets.order.family, study.facets.occasion) == (("all",), "cyclic", 2)
    assert (study.design.kind, study.design.calls) == ("fractional", 2000)
    assert study.model is not None
    assert (study.model.kind, study.model.settings) == ("many_facet_rasch", {"steps": "item"})
    assert study.engine is not None
    assert (study.engine.kind, study.budget.cost) == ("nuts", 5.0)


def test_a_study_survives_plain_data() -> None:
    study = Study.from_text(STUDY)
    assert Study.from_dict(study.to_dict()) == study
    assert Study.from_dict(study.to_dict()).hash == study.hash


def test_the_hash_follows_the_content() -> None:
    assert Study.from_text(STUDY.replace("calls: 2000", "calls: 2001")).hash != Study.from_text(STUDY).hash
    assert Study.from_text(STUDY.replace("# built in", "# shipped")).hash == Study.from_text(STUDY).hash


def test_models_as_subjects() -> None:
    study = Study.from_text(f"study: s\ninstrument: big-five-20\nsubjects: [{{name: a, base_url: '{URL}', model: m}}]")
    assert [endpoint.name for endpoint in study.endpoints] == ["a"]


def test_shorthands() -> None:
    text = STUDY.replace("{kind: fractional, calls: 2000}", "full").replace("order: cyclic", "order: {random: 3}")
    study = Study.from_text(text.replace("engine: nuts", "engine: {kind: nuts, draws: 100}"))
    assert (study.design.kind, study.facets.order.random) == ("full", 3)
    assert study.engine is not None
    assert dict(study.engine.settings) == {"draws": 100}


def test_a_file_knows_its_name_and_folder(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(STUDY)
    study = Study.from_yaml(path)
    assert (study.source, study.folder) == (str(path), tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("design: {kind", "desing: {kind", "line 9, desing: unknown field; did you mean 'design'"),
        ("template: all", "templates: all", r"facets\.templates: unknown field; did you mean 'template'"),
        ("key_env: J", "key_enw: J", r"line 6, judges\[0\]\.key_enw: unknown field; did you mean 'key_env'"),
        ("{input: 2.5", "{imput: 2.5", r"judges\[1\]\.price\.imput: unknown field; did you mean 'input'"),
        ("id: conversation", "ids: conversation", r"subjects\.ids: unknown field; did you mean 'id'"),
        (
            "from: conv",
            "form: conv",
            r"subjects\.from: this field is required; .*subjects\.form: unknown field; did you",
        ),
        ("instrument: empathy-rubric", "notes: x", "instrument: this field is required"),
        ("kind: fractional", "kind: fractal", r"design\.kind: input should be 'full', 'fractional' or 'linked'"),
        (", calls: 2000", "", "design: a fractional design needs calls"),
        ("kind: fractional", "kind: full", "design: a full design takes no calls"),
        ("fractional, calls: 2000", "linked", "design: a linked design needs judges_per_subject"),
        ("calls: 2000", "calls: 0", r"design\.calls: input should be greater than or equal to 1"),
        ("calls: 2000", "calls: many", r"design\.calls: input should be a valid integer"),
        ("readout: logprob", "readout: logits", "readout: input should be 'sampled' or 'logprob'"),
        ("steps: item", "ties: davidson", "model many_facet_rasch has no setting 'ties'; "),
        ("steps: item", "step: item", "model many_facet_rasch has no setting 'step'; did you mean 'steps'"),
        ("kind: many_facet_rasch", "kind: many_faceted", "no model 'many_faceted'; did you mean 'many_facet_rasch'"),
        ("engine: nuts", "engine: stan", r"engine\.kind: input should be 'marginal_ml'"),
        ("cost: 5.00", "cost: -1", r"budget\.cost: input should be greater than 0"),
        ("cost: 5.00", "cost: .inf", r"budget\.cost: input should be a finite number"),
        ("cost: 5.00", "costs: 5", r"budget\.costs: unknown field; did you mean 'cost'"),
        ("name: large", "name: small", "judges: the name 'small' is used more than once"),
        ("order: cyclic", "order: {cyclic: 3}", r"facets\.order\.cyclic: unknown field; valid: family, names, random"),
        ("order: cyclic", "order: {}", r"facets\.order: order takes a family such as cyclic, a list of orders, or"),
        ("order: cyclic", "order: []", r"facets\.order\.names: tuple should have at least 1 item"),
        ("occasion: 2", "occasion: 0", r"facets\.occasion: input should be greater than or equal to 1"),
        ("study: emp", "study: [1]\nnotes: emp", "study: input should be a valid string"),
        (
            f'base_url: "{URL}", model: small',
            "base_url: 'ftp://x', model: small",
            "must start with http:// or https://",
        ),
        ("study: e", "study: e: f", r"study: line 2 column 9: mapping values are not allowed"),
    ],
)
def test_a_bad_study_is_refused(old: str, new: str, message: str) -> None:
    assert old in STUDY
    with pytest.raises(StudyError, match=message):
        Study.from_text(STUDY.replace(old, new, 1))


def test_repeated_subject_names_are_refused() -> None:
    one = f"{{name: a, base_url: '{URL}', model: m}}"
    with pytest.raises(StudyError, match="subjects: the name 'a' is used more than once"):
        Study.from_text(f"study: s\ninstrument: big-five-20\nsubjects: [{one}, {one}]")


def test_no_subjects_are_refused() -> None:
    with pytest.raises(StudyError, match="subjects: tuple should have at least 1 item"):
        Study.from_text("study: s\ninstrument: big-five-20\nsubjects: []")


@pytest.mark.parametrize("place", ["api_key: {}", "key_env: {}", "extra_body: {{user: {}}}", "{}: x"])
def test_a_key_is_refused_and_never_repeated(place: str) -> None:
    secret = "sk-" + "abcd1234" * 4
    text = STUDY.replace("key_env: JUDGE_KEY", place.format(secret) if place != "{}: x" else f"api_key: {secret}")
    with pytest.raises(StudyError, match=r"judges\[0\]\..*looks like an API key.*key_env") as error:
        Study.from_text(text)
    assert secret not in str(error.value)
    assert secret not in repr(error.value.__context__)


def test_a_key_in_python_is_refused_and_never_repeated() -> None:
    secret = "sk-" + "abcd1234" * 4
    with pytest.raises(ValueError, match="looks like an API key") as error:
        Study(study="s", instrument="big-five-20", subjects=(), notes=secret)
    assert secret not in str(error.value)
