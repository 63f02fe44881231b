"""The examples on published data run from start to end, and say what the README says they find."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name: str, data: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.DATA = data
    return module


@pytest.mark.example
@pytest.mark.shared_data
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "says"),
    [
        # Gemini on EPITOME is within the experts' spread in severity and no less consistent than they are.
        (
            "empathy_judges",
            [
                "gemini -0.17 0.17 1.04 0.71 yes",
                "gpt 2.68 0.19 1.07 0.53 no: severity",
                # Winning rate, rho with its interval, epsilon needed, passes, criteria; ceiling and shortfall.
                "claude 1.00 0.94 0.90 0.98 0.01 True 3 of 3 0.34 -0.05 -0.09 0.00",
                "gpt 0.0 0.38 0.29 0.48 0.69 False 0 of 3 0.55 0.79 0.63 0.95",
                "raw 1.02, calibrated on other conversations 0.43",
            ],
        ),
        ("hanna", ["Between-prompt variance of a system's score is 1.2%", "prompt 4 0.477 0.008"]),
        (
            "llmfao",
            [
                "Being on the left is worth 0.16 logits",
                # The first is the fit with ties as half wins, which is evalica's.
                "r 1.000 1.000 1.000 0.989",
                "AIC 18,110 18,083",
                "GPT 4 1.71 1 1 3",
                "Two kinds of people: AIC 16,837, -1,246 from one kind",
                "24 of 124 people are flagged",
                "510 of 5,249 triples of majorities go round in a circle; 311 expected",
            ],
        ),
        (
            "mtbench",
            [
                # Agreement as in ../shared/data/CATALOGUE.md.
                "1 882 0.668 549 0.858 2 869 0.679 569 0.854",
                "experts: 1,000 characters more are worth 0.03 logits (95% -0.16 to 0.23)",
                "GPT-4: 1,000 characters more are worth 0.08 logits (95% -0.18 to 0.35)",
                "one scale for both: 0.19 logits (95% 0.07 to 0.31)",
                "each with its own discrimination: 0.09 logits (95% -0.04 to 0.23)",
            ],
        ),
        (
            "llmbar",
            [
                "Falcon CoT 0.54 0.11 0.88 0.00 0.82 3.02 2.52 3.52",
                "Vanilla_NoRules 0.57 0.51 0.45 0.92 0.73 0.79",
                "GPT-4 0.10",
            ],
        ),
        (
            "hanna_pairs",
            [
                # Of 633,600 pairs those go that hold a rating which could not be read.
                "models: 11,520 lists make 630,863 comparisons, 40% ties",
                "Human 1.63 1 1 1 2.93 1 1 1",
                "Rank correlation of the two boards: 0.95",
                "Worths with mean ratings by models: r = 0.998",
            ],
        ),
        (
            "snow2008_rte",
            [
                "Majority 0.8969",
                "Dawid-Skene 0.9275",
                # Three of the four who gave most labels gave them at random.
                "6 800 0.49 0.51 9 760 0.49 0.50 10 700 0.60 0.58 12 540 0.49 0.51",
                "Workers agree with each other more often than the truth explains",
            ],
        ),
        (
            "llmbar_truth",
            [
                "best judge: GPT-4 0.87",
                "gold on 0: 0.62 right, 0.97 expected",
                "gold on 100: 0.80 right, 0.92 expected",
                "Judges agree with each other more often than the truth explains",
            ],
        ),
        ("dass42", ["depression: 1200 administrations, alpha 0.97, EAP 0.94", "tone=3 bad 0.44 0.07"]),
        ("personallm", ["extraversion 0.97 3.43 0.15"]),
    ],
)
def test_example(name, says, shared_data, tmp_path, capsys):
    load(name, shared_data).main(tmp_path)
    printed = " ".join(capsys.readouterr().out.split())
    for text in says:
        assert text in printed
    page = (tmp_path / f"{name}.html").read_text()
    assert "<script src" not in page
    assert (tmp_path / "scores.csv").stat().st_size > 0


@pytest.mark.example
@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "says"),
    [
        # The model without mode is held to MixedModels.jl's numbers in tests/unit/models.
        ("verbal_aggression", ["covariate_weight: Anger 0.057 0.017", "explain 91% of the variance"]),
        (
            "llm_rubric",
            [
                # The raw judge as in ../shared/INSTRUMENTS.md, where the published numbers are .162 and 1.057.
                "662 ratings of 223 dialogues by 24 people",
                "raw 0.162 1.057",
                "temperature 0.200 0.807 0.037 0.006 0.065 -0.249 -0.286 -0.211",
                "all questions, rater 0.433 0.742 0.271 0.199 0.346 -0.315 -0.360 -0.270",
                # What knowing the rater gives without the judge.
                "other dialogues', rater 0.315 0.782",
            ],
        ),
        # The mean of three people as a label, and their three labels: bits of surprise at what the others say.
        ("brighter", ["anger 0.544 0.191 0.328 0.459", "averaged log loss 1.550", "kept log loss 0.842 0.824 0.860"]),
        ("insteval", ["235 lecturers are above the mean of all, 254 below", "lecturer_sd 0.365"]),
    ],
)
def test_example_with_a_figure(name, says, shared_data, tmp_path, capsys):
    load(name, shared_data).main(tmp_path)
    printed = " ".join(capsys.readouterr().out.split())
    for text in says:
        assert text in printed
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.example
@pytest.mark.shared_data
def test_mtbench_calibrated(shared_data, tmp_path, capsys):
    """GPT-4 puts its own answers and Claude's higher than experts do; 200 votes put it right."""
    load("mtbench_calibrated", shared_data).main(tmp_path)
    printed = " ".join(capsys.readouterr().out.split())
    for text in (
        "gpt-4 0.854 0.761 0.758 0.672 0.844 0.170 0.731",
        "Difference claude-v1 − gpt-3.5-turbo: -0.067 (95% -0.225 to 0.092), from 132 labels and 1,331 verdicts.",
        "All experts say -0.014",
        "GPT-4 alone 0.50 both 0.97",
    ):
        assert text in printed
    assert (tmp_path / "mtbench_calibrated.png").stat().st_size > 10_000
