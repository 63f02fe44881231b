"""The documentation keeps up with the code: every public name and every exception has its place."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import psymetric
from psymetric import errors

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_public_name_has_a_reference_page() -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    rendered = set(re.findall(r"^::: ([\w.]+)$", pages, re.MULTILINE))
    exports: dict[str, str] = psymetric._EXPORTS  # pyright: ignore[reportPrivateUsage]
    assert {name for name, module in exports.items() if f"{module}.{name}" not in rendered} == set()


def test_every_exception_has_its_mend() -> None:
    headings = set(re.findall(r"^#+ `?(\w+)`?$", (DOCS / "errors.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert {name for name in errors.__all__ if name not in headings} == {"PsymetricError"}


def ratings() -> pd.DataFrame:
    """Three judges of known severity on forty conversations and three criteria."""
    rng = np.random.default_rng(20)
    rows = [
        (f"c{subject:02d}", criterion, judge, int(np.clip(np.round(3 + ability - severity + rng.normal(0, 0.8)), 1, 5)))
        for subject, ability in enumerate(rng.normal(0, 1, 40))
        for criterion in ("warmth", "insight", "questions")
        for judge, severity in (("small", -0.5), ("large", 0.0), ("strict", 0.5))
    ]
    return pd.DataFrame(rows, columns=["conversation", "criterion", "judge", "rating"])


def comparisons() -> pd.DataFrame:
    """Votes among four models, some of them ties."""
    rng = np.random.default_rng(21)
    models, outcomes = [f"model {letter}" for letter in "abcd"], ["left", "right", "tie"]
    rows = [(*rng.choice(models, 2, replace=False), rng.choice(outcomes), f"judge {i % 3}") for i in range(300)]
    return pd.DataFrame(rows, columns=["model_a", "model_b", "winner", "judge"])


@pytest.mark.example
def test_code_of_the_first_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ratings().to_csv("ratings.csv", index=False)
    blocks = re.findall(
        r"^```python\n(.*?)^```", (DOCS / "index.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert len(blocks) == 2
    names: dict[str, object] = {}
    exec(compile(blocks[0], "docs/index.md", "exec"), names)
    assert (tmp_path / "report.html").stat().st_size > 10_000
    exec(compile(blocks[1], "docs/index.md", "exec"), names | {"df": comparisons()})


def test_study_of_the_manual_can_be_planned(tmp_path: Path) -> None:
    text = (DOCS / "command-line.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "study.yaml").write_text(block, encoding="utf-8")
    plan = psymetric.plan(psymetric.Study.from_yaml(tmp_path / "study.yaml"))
    assert set(plan.frame["judge"]) == {"small", "large"}
    assert {"template", "order", "label", "occasion"} <= set(plan.frame.columns)


@pytest.mark.example
def test_code_of_dependent_ratings_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (DOCS / "dependent-ratings.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {"df": ratings()}
    exec(compile(block, "docs/dependent-ratings.md", "exec"), names)
    assert "halo_sd" in capsys.readouterr().out
    consensus = names["consensus"]
    assert isinstance(consensus, pd.DataFrame)
    assert len(consensus) == 120
