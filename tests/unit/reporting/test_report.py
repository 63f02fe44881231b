from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import psymetric as ps
from psymetric.errors import DataError


class Reader(HTMLParser):
    """Tags, attributes and visible text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def test_page_holds_every_section_once(report_of_simulated: ps.Report) -> None:
    found = [tag["id"] for tag in Reader(report_of_simulated.html).of("section") if "id" in tag]
    assert found == ["scores", "effects", "judges", "instrument", "truth", "missing", "next", "appendix"]


def test_identifiers_are_unique_and_references_resolve(report_of_simulated: ps.Report) -> None:
    page = report_of_simulated.html
    found = re.findall(r'\bid="([^"]+)"', page)
    assert len(found) == len(set(found))
    wanted = set(re.findall(r"(?:url\(#|href=\"#)([\w.-]+)", page)) | {
        name for value in re.findall(r'aria-labelledby="([^"]+)"', page) for name in value.split()
    }
    assert wanted <= set(found)


def test_nothing_is_asked_of_a_network(report_of_simulated: ps.Report) -> None:
    reader = Reader(report_of_simulated.html)
    policy = next(tag["content"] for tag in reader.of("meta") if tag.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    sources = [
        value
        for _, tag in reader.tags
        for name, value in tag.items()
        if name in ("src", "href", "xlink:href") and value
    ]
    assert sources
    assert all(value.startswith(("#", "data:")) for value in sources)


def test_every_figure_is_named_and_read(report_of_simulated: ps.Report) -> None:
    reader = Reader(report_of_simulated.html)
    figures = reader.of("svg")
    assert figures
    assert all(tag.get("role") == "img" and tag.get("aria-labelledby") for tag in figures)
    assert len(reader.of("figcaption")) == len(reader.of("figure"))


def test_numbers_on_the_page_are_in_the_files(report_of_simulated: ps.Report, simulated, tmp_path: Path) -> None:
    page = report_of_simulated.save(tmp_path / "deep" / "page.html")
    assert {path.name for path in page.parent.iterdir()} == {"page.html", "scores.csv", "facets.csv", "fit.json"}
    scores = list(csv.DictReader(io.StringIO((page.parent / "scores.csv").read_text(encoding="utf-8"))))
    expected = ps.score(simulated.fit, simulated.table).frame.set_index("subject")
    assert len(scores) == 30
    for row in scores:
        assert float(row["estimate"]) == pytest.approx(expected.loc[row["subject"], "estimate"])
    facets = pd.read_csv(page.parent / "facets.csv")
    assert set(facets["facet"]) == {"item", "judge", "step", "population"}
    judges = facets[facets["facet"] == "judge"].set_index("level")["estimate"]
    assert judges.to_dict() == pytest.approx(simulated.fit.estimates("judge").set_index("level")["estimate"].to_dict())
    record = json.loads((page.parent / "fit.json").read_text(encoding="utf-8"))
    assert report_of_simulated.claims[0].startswith(record["claims"][0]["text"])
    assert record["fits"][0]["log_likelihood"] == simulated.fit.log_likelihood
    assert {"scores", "judge", "item", "categories", "steps", "variance", "missing", "truth"} <= set(record["tables"])


def test_same_input_gives_the_same_bytes(simulated) -> None:
    first, second = (ps.report(simulated.fit, simulated.table).html for _ in range(2))
    assert first == second


def test_drawing_leaves_global_settings_alone(simulated) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    ps.report(simulated.fit, simulated.table)
    assert dict(mpl.rcParams) == before


def test_hostile_labels_stay_text(hostile: tuple[ps.Fit, ps.ResponseTable]) -> None:
    page = ps.report(*hostile).html
    reader = Reader(page)
    assert len(reader.of("script")) == 1
    assert not reader.of("img")
    assert not [name for _, tag in reader.tags for name in tag if name.startswith("on")]
    assert "\u202e" not in page.replace("&#8238;", "")
    assert "\x00" not in page
    assert "49" not in [word.strip() for word in reader.words]  # a template in a label is not run
    words = "".join(reader.words)
    assert "<script>document.title='owned'</script>" in words
    assert "⟨U+202E⟩" in words
    longest = max((tag["title"] or "" for tag in reader.of("th") if "title" in tag), key=len)
    assert len(longest) == 10_000
    assert "x" * 61 not in words


def test_hostile_labels_are_disarmed_in_files(hostile: tuple[ps.Fit, ps.ResponseTable], tmp_path: Path) -> None:
    page = ps.report(*hostile).save(tmp_path)
    for name in ("scores.csv", "facets.csv"):
        cells = [
            cell for row in csv.reader(io.StringIO((page.parent / name).read_text(encoding="utf-8"))) for cell in row
        ]
        texts = [cell for cell in cells if not re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", cell)]
        assert not [cell for cell in texts if cell.startswith(("=", "+", "-", "@"))]


def test_pairs_have_a_matrix_effects_and_judges(pairs: tuple[ps.Fit, ps.PairTable]) -> None:
    found = ps.report(*pairs)
    assert [tag["id"] for tag in Reader(found.html).of("section") if "id" in tag] == [
        "scores",
        "pairs",
        "missing",
        "next",
        "appendix",
    ]
    tables = found.record["tables"]
    assert [row["level"] for row in tables["effects"]] == ["position", "tie"]
    assert {row["level"] for row in tables["judges"]} == {"judge 0", "judge 1", "judge 2"}
    assert tables["scores"][0]["item"] == "alpha"
    assert any("Being shown first helps" in claim for claim in found.claims)


def test_several_traits_have_a_profile() -> None:
    rng = np.random.default_rng(8)
    rows = pd.DataFrame(
        [
            (f"m{s}", f"{t}{i}", t, int(rng.integers(1, 5) if s % 2 else min(4, 1 + i + rng.integers(2))))
            for s in range(12)
            for t in ("open", "kind")
            for i in range(4)
        ],
        columns=["model", "question", "trait", "answer"],
    )
    table = ps.ResponseTable.from_frame(rows, response="answer", subject="model", item="question", dimension="trait")
    fits = ps.fit_each(ps.ManyFacetRasch(facets=("item",)), table, by="trait")
    found = ps.report(fits, table)
    assert "Profiles by trait" in found.html
    assert set(found.scores["trait"]) == {"open", "kind"}
    assert len(found.scores) == 24
    assert any(claim.startswith("kind: ") for claim in found.claims)


def test_non_responses_are_counted_with_their_reason(report_of_simulated: ps.Report, simulated) -> None:
    lost = len(simulated.table.missing)
    assert lost > 0
    totals = report_of_simulated.record["tables"]["missing"]
    assert [(row["reason"], row["n"]) for row in totals] == [("refusal", lost)]
    by_judge = report_of_simulated.record["tables"]["missing-by-judge"]
    assert sum(row["missing"] for row in by_judge) == lost
    assert sum(row["asked"] for row in by_judge) == 360


def test_frame_of_responses_decides_what_is_missing(simulated) -> None:
    frame = pd.DataFrame(
        {"judge": ["ann"] * 3 + ["bob"], "template": ["t1", "t2"] * 2, "reason": [None, "empty", "empty", None]}
    )
    tables = ps.report(simulated.fit, simulated.table, frame=frame).record["tables"]
    assert [(row["level"], row["missing"]) for row in tables["missing-by-judge"]] == [("ann", 2), ("bob", 0)]
    assert "missing-by-template" in tables


def test_extra_blocks_come_last(simulated) -> None:
    found = ps.report(
        simulated.fit,
        simulated.table,
        extra={"Cost": pd.DataFrame({"judge": ["ann"], "usd": [1.25]}), "Aside": "One.\n\nTwo."},
    )
    assert "Further results" in found.html
    assert found.record["tables"]["extra-0"] == [{"judge": "ann", "usd": 1.25}]


def test_another_table_is_refused(simulated) -> None:
    with pytest.raises(
        DataError, match=r"the table has hash \w+…, the fit was of \w+…; pass the table that was fitted"
    ):
        ps.report(simulated.fit, simulated.table.select("judge", ["ann", "bob"]))


def test_table_of_the_wrong_kind_is_refused(simulated, pairs: tuple[ps.Fit, ps.PairTable]) -> None:
    with pytest.raises(DataError, match="ManyFacetRasch does not fit a PairTable; pass the fitted table"):
        ps.report(simulated.fit, pairs[1])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"level": 1.0}, r"level=1.0 is not a coverage between 0 and 1"),
        ({"frame": pd.DataFrame({"judge": ["a"]})}, r"frame has no column 'reason', only \['judge'\]"),
        ({"truth": pd.DataFrame({"facet": ["judge"]})}, r"truth has no columns \['level', 'true'\]"),
        (
            {"truth": pd.DataFrame({"facet": ["judge"] * 2, "level": ["ann"] * 2, "true": [0.0, 1.0]})},
            "truth gives 1 levels twice, first judge 'ann'",
        ),
        ({"scores": {}}, "scores is a mapping, which belongs to a FitSet"),
    ],
)
def test_what_does_not_fit_is_named(simulated, given: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ps.report(simulated.fit, simulated.table, **given)


def test_file_that_is_no_page_is_refused(report_of_simulated: ps.Report, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'page.pdf' is not the name of a page; end it in .html, or give a folder"):
        report_of_simulated.save(tmp_path / "page.pdf")


def test_unwritable_place_is_named(report_of_simulated: ps.Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(DataError, match=r"cannot write .*file.*choose another place"):
        report_of_simulated.save(tmp_path / "file" / "page.html")
