"""Methods of a calibration to people in words, with the sources of exactly what was run, and how to run it again."""

from __future__ import annotations

from typing import Final

import pandas as pd

from psymetric.reporting.calibration_evidence import CalibrationEvidence
from psymetric.reporting.rounding import plain
from psymetric.reporting.tables import Show, make_table
from psymetric.reporting.views import Block, Heading, Section, Text

__all__ = ["calibration_appendix"]

_SOURCES: Final = {
    "ppi": "Angelopoulos, A. N., Duchi, J. C., & Zrnic, T. (2023). PPI++: Efficient prediction-powered inference. "
    "arXiv 2311.01453.",
    "chances": "Zrnic, T., & Candès, E. J. (2024). Active statistical inference. arXiv 2403.03208.",
    "rogan_gladen": "Rogan, W. J., & Gladen, B. (1978). Estimating prevalence from the results of a screening test. "
    "American Journal of Epidemiology, 107, 71–76.",
    "df": "Satterthwaite, F. E. (1946). An approximate distribution of estimates of variance components. Biometrics "
    "Bulletin, 2, 110–114.",
    "wilson": "Korn, E. L., & Graubard, B. I. (1998). Confidence intervals for proportions with small expected number "
    "of positive counts estimated from survey data. Survey Methodology, 24, 193–201.",
    "neyman": "Neyman, J. (1934). On the two different aspects of the representative method. JRSS, 97, 558–625.",
    "corp": "Dimitriadis, T., Gneiting, T., & Jordan, A. I. (2021). Stable reliability diagrams for probabilistic "
    "classifiers. PNAS, 118, e2016191118.",
    "bands": "Bröcker, J., & Smith, L. A. (2007). Increasing the reliability of reliability diagrams. Weather and "
    "Forecasting, 22, 651–661.",
    "alternative": "Calderon, N., Reichart, R., & Dror, R. (2025). The alternative annotator test for LLM-as-a-judge. "
    "ACL 2025, arXiv 2501.10970.",
}  # fmt: skip


def calibration_appendix(evidence: CalibrationEvidence, command: str | None) -> Section:
    """Methods, sources, facts, notes, and the command or Python that makes the page again."""
    notes = [*evidence.found.notes, *(note for one in evidence.scored[0].values() for note in one.notes)]
    blocks: list[Block] = [
        Heading("Methods"),
        Text(tuple(_paragraphs(evidence))),
        Text(tuple(_SOURCES[key] for key in _keys(evidence)), listed=True, quiet=True),
        Heading("Data and software"),
        _facts(evidence),
        Heading("Notes"),
        Text(tuple(plain(note, 600) for note in dict.fromkeys(notes)), listed=True),
        Heading("Reproduce this page"),
        Text((command or _python(evidence),), code=True),
    ]
    return Section("appendix", "Appendix", tuple(blocks))


def _paragraphs(evidence: CalibrationEvidence) -> list[str]:
    found, rows = evidence.found, evidence.rows
    if found.method == "ppi":
        how = (
            "Each estimate is the judge's mean over all rows, put right by its mean error on the labelled rows, with "
            "as much of the judge as lowers the variance (PPI++). It holds however the judge errs, as long as the "
            "labelled rows are a random sample"
        )
        how += " with the chances given." if rows.probability is not None else "."
        ends = "Intervals are Student's, with Satterthwaite's degrees of freedom"
        ends += (
            "; of a mean of two-valued labels Wilson's, counting one more label of each value than was seen."
            if rows.values and found.estimand != "difference"
            else "."
        )
    else:
        how = (
            "How often the judge errs, given the truth, was counted on the labelled rows, and the shares of the "
            "categories are those that explain its verdicts (Rogan–Gladen). The judge is taken to err as often on all "
            "other rows; labelled rows may have been chosen by their label."
        )
        ends = "Intervals carry the error of labels and verdicts; with two categories they are of an inverted test."
    if rows.cluster is not None:
        ends += f" Errors are of clusters of {plain(evidence.column('cluster'), 40)}."
    judge = "The judge alone is the mean of its verdicts, people alone the mean of the labels."
    return [how, f"{ends} They cover {found.level:.0%}.", judge]


def _keys(evidence: CalibrationEvidence) -> list[str]:
    quality, reliability = evidence.scored
    said = {
        evidence.found.method: True,
        "chances": evidence.rows.probability is not None or evidence.send is not None,
        "df": True,
        "wilson": evidence.rows.values is not None,
        "neyman": evidence.send is not None,
        "corp": bool(quality or reliability),
        "bands": bool(reliability),
        "alternative": evidence.people is not None,
    }
    return [key for key, used in said.items() if used]


def _facts(evidence: CalibrationEvidence) -> Block:
    origin = evidence.found.provenance
    facts = {name: plain(value, 300) for name, value in origin.settings.items()}
    facts |= {"rows with a verdict": f"{len(evidence.found.rows.judge):,}", "SHA-256 of the data": origin.source}
    facts |= {"computed": origin.created, **origin.versions}
    frame = pd.DataFrame({"fact": list(facts), "value": list(facts.values())})
    shows = [Show("fact", "fact", "text"), Show("value", "value", "text")]
    return make_table("provenance", frame, shows, caption="Provenance")


def _python(evidence: CalibrationEvidence) -> str:
    """Python that reads the same rows and makes the page again."""
    origin = evidence.found.provenance
    settings = ", ".join(f"{name}={value!r}" for name, value in origin.settings.items())
    return (
        "import pandas as pd\nimport psymetric as ps\n"
        f'rows = pd.read_parquet("verdicts.parquet")  # SHA-256 of verdicts and labels {origin.source[:16]}…\n'
        f"found = ps.calibrated_estimate(rows, {settings})\n"
        'ps.calibration_report(found).save("calibration.html")'
    )
