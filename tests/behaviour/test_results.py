"""Judging, printing and storing results."""

import dataclasses
import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from scatter_theory.constants import Constant, Provenance
from scatter_theory.results import BoundCheck, ErrorTerm, Hypothesis, Outcome, Verdict, judge

PROVEN = Constant(1.0, "by hand", "derived")


def made(
    measured=(0.5, 0.9), bound=(1.0, 1.0), *, constants=(PROVEN,), hypotheses=(), budget=(), series=None, **fields
):
    """A check that nobody has judged."""
    measured, bound = np.array(measured, dtype=float), np.array(bound, dtype=float)
    base = {
        "claim": "translation",
        "outcome": Outcome.INCONCLUSIVE,
        "x": np.arange(measured.size, dtype=float),
        "x_label": "|t| in s",
        "series": tuple(series or ["layer 0"] * measured.size),
        "constants": {f"c{i}": c for i, c in enumerate(constants)},
        "provenance": Provenance("subject"),
    }
    base.update(fields)
    return BoundCheck(measured=measured, bound=bound, hypotheses=tuple(hypotheses), budget=tuple(budget), **base)


def outcome(*args, cap=None, **fields):
    return judge(made(*args, **fields), cap=cap).outcome


def of_kind(kind):
    return Constant(1.0, "somewhere", kind)


def disc(value):
    return ErrorTerm("aliasing", value, "discretisation")


NO = Hypothesis("the network is admissible", False, 1.3)
YES = Hypothesis("the network is admissible", True, 1.0)


# --- judge -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        ("HOLDS", {}),
        ("HOLDS", {"measured": (1.0, 1.0)}),
        ("HOLDS", {"measured": (1.05, 0.0), "budget": [ErrorTerm("rounding", 0.1)]}),
        ("HOLDS", {"measured": (1.05, 0.0), "budget": [ErrorTerm("fft", np.array([0.03, 0])), ErrorTerm("sum", 0.03)]}),
        ("HOLDS", {"hypotheses": [YES]}),
        ("VIOLATED", {"measured": (1.05, 0.0)}),
        ("VIOLATED", {"measured": (1.05, 0.0), "budget": [ErrorTerm("rounding", 0.01)]}),
        ("VIOLATED", {"measured": (1.5, 0.0), "budget": [disc(0.1)]}),
        ("VIOLATED", {"measured": (1.5, 0.0), "constants": [of_kind("declared")]}),
        ("VIOLATED", {"measured": (1.5, math.nan)}),
        ("INCONCLUSIVE", {"measured": (1.5, 0.0), "constants": [of_kind("estimated")]}),
        ("INCONCLUSIVE", {"measured": (1.5, 0.0), "constants": [of_kind("fitted"), PROVEN]}),
        ("INCONCLUSIVE", {"measured": (), "bound": ()}),
        ("INCONCLUSIVE", {"measured": (0.5, math.nan)}),
        ("INCONCLUSIVE", {"measured": (-math.inf, 0.5)}),
        ("INCONCLUSIVE", {"bound": (1.0, math.nan)}),
        ("INCONCLUSIVE", {"budget": [disc(math.nan)]}),
        ("INCONCLUSIVE", {"budget": [ErrorTerm("rounding", math.inf)]}),
        ("INCONCLUSIVE", {"constants": [of_kind("declared")]}),
        ("INCONCLUSIVE", {"constants": [of_kind("estimated")]}),
        ("INCONCLUSIVE", {"constants": [of_kind("fitted"), PROVEN]}),
        ("INCONCLUSIVE", {"measured": (0.95, 0.0), "budget": [disc(0.1)]}),
        ("INCONCLUSIVE", {"measured": (1.05, 0.0), "budget": [disc(0.1)]}),
        ("VACUOUS", {"bound": (2.0, 3.0), "cap": 2.0}),
        ("HOLDS", {"bound": (1.9, 3.0), "cap": 2.0}),
        ("HOLDS", {"bound": (2.0, 2.0), "cap": np.array([2.0, 2.1])}),
        ("INAPPLICABLE", {"hypotheses": [YES, NO]}),
        ("INAPPLICABLE", {"hypotheses": [NO], "measured": (9.0, 9.0)}),
        ("INAPPLICABLE", {"hypotheses": [NO], "measured": (), "bound": ()}),
        ("INAPPLICABLE", {"hypotheses": [NO], "measured": (math.nan, 0.0)}),
    ],
)
def test_judge(expected, arguments):
    assert outcome(**arguments) is Outcome[expected]


@pytest.mark.parametrize("kind", ["paper", "derived", "analytic", "certified", "grid"])
def test_kinds_that_prove(kind):
    assert outcome(constants=[of_kind(kind)]) is Outcome.HOLDS


finite = some.floats(0, 10)


@given(arrays.arrays(float, 4, elements=finite), arrays.arrays(float, 4, elements=finite), finite, finite)
def test_holds_and_violated_mean_what_they_say(measured, bound, rounding, error):
    result = outcome(measured, bound, budget=[ErrorTerm("rounding", rounding), disc(error)])
    above, surely_below = measured - error > bound + rounding, measured + error <= bound + rounding
    assert (result is Outcome.VIOLATED) == bool(above.any())
    assert (result is Outcome.HOLDS) == bool(surely_below.all())


@given(some.lists(some.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=5))
def test_a_value_that_is_not_finite_never_holds(measured):
    result = outcome(measured, [1.0] * len(measured))
    if not np.all(np.isfinite(measured)):
        assert result is not Outcome.HOLDS


def test_judge_changes_nothing_but_the_outcome():
    check = made(measured=(2.0, 0.0))
    judged = judge(check)
    for field in dataclasses.fields(check):
        if field.name != "outcome":
            assert getattr(judged, field.name) is getattr(check, field.name)


def test_error_terms_have_two_kinds():
    with pytest.raises(ValueError, match="rounding"):
        ErrorTerm("x", 0.0, "statistical")


# --- ratio, truth, exit code -----------------------------------------------------------------------------------------


def test_ratios():
    check = made((1.0, 0.0, 1.0, 0.0), (2.0, 0.0, 0.0, 3.0))
    np.testing.assert_array_equal(check.ratio, [0.5, 0.0, math.inf, 0.0])
    assert check.worst == math.inf
    assert math.isnan(made((0.5, math.nan)).worst)
    assert math.isnan(made((), ()).worst)


def test_an_identity_within_rounding_has_ratio_zero():
    check = made((1e-15, 1e-11), (0.0, 0.0), budget=[ErrorTerm("rounding", 1e-12)])
    np.testing.assert_array_equal(check.ratio, [0.0, math.inf])


def test_ratios_within_rounding_of_zero_say_nothing():
    """Measured 1e-16 over a bound of 1e-23 is no ratio of 1e7; beyond rounding it is one."""
    check = made((1e-16, 1e-3, 1e-16), (1e-23, 1e-23, 2e-3), budget=[ErrorTerm("rounding", 1e-13)])
    np.testing.assert_allclose(check.ratio, [0.0, 1e20, 5e-14], rtol=1e-12)
    assert judge(check).outcome is Outcome.VIOLATED


@pytest.mark.parametrize("result", [made(), Verdict({}), Verdict({"a": made()})])
def test_truth_is_ambiguous(result):
    with pytest.raises(TypeError, match="ambiguous"):
        bool(result)


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [([], 3), (["HOLDS"], 0), (["HOLDS", "VACUOUS"], 3), (["HOLDS", "INAPPLICABLE"], 0),
     (["HOLDS", "VIOLATED"], 1), (["VACUOUS"], 3), (["VIOLATED"], 1),
     (["INAPPLICABLE", "INCONCLUSIVE"], 3), (["HOLDS", "INCONCLUSIVE"], 3)],
)  # fmt: skip
def test_exit_code(outcomes, code):
    verdict = Verdict({str(i): made(outcome=Outcome[name]) for i, name in enumerate(outcomes)})
    assert verdict.exit_code == code
    assert len(verdict.violated) == outcomes.count("VIOLATED")


def test_only_holds_holds():
    assert [name for name in Outcome.__members__ if made(outcome=Outcome[name]).holds] == ["HOLDS"]
    assert len({member.symbol for member in Outcome}) == 5


# --- storing ---------------------------------------------------------------------------------------------------------


def test_json_round_trip_of_values_that_are_not_finite(tmp_path):
    check = judge(
        made(
            (0.5, math.nan, math.inf), (1.0, 1.0, 0.0),
            hypotheses=[Hypothesis("h", True, math.inf)],
            budget=[ErrorTerm("e", np.array([0.0, math.nan, 1.0]))],
            witness={"f": np.array([1 + 2j, math.nan]), "layer": np.int64(2), "shift": (1, 2)},
            extra={"cap": np.array([1.0, math.inf, -math.inf])},
            search={"ascent": math.nan},
            notes=("a note",),
        )
    )  # fmt: skip
    path = tmp_path / "check.json"
    text = check.to_json(path)
    assert path.read_text(encoding="utf-8") == text
    data = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert [float(p["measured"]) for p in data["points"]][::2] == [0.5, math.inf]
    assert math.isnan(float(data["points"][1]["measured"]))
    assert [float(v) for v in data["extra"]["cap"]] == [1.0, math.inf, -math.inf]
    assert data["witness"]["f"][0] == {"re": 1.0, "im": 2.0}
    assert data["witness"]["layer"] == 2 and data["witness"]["shift"] == [1, 2]
    assert data["outcome"] == check.outcome.name
    assert data["hypotheses"][0]["value"] == "inf"


def test_verdict_json_keeps_the_order(tmp_path):
    verdict = Verdict({"b": judge(made()), "a": judge(made((2.0,), (1.0,)))}, "title")
    data = json.loads(verdict.to_json(tmp_path / "v.json"))
    assert list(data["checks"]) == ["b", "a"]
    assert [check["outcome"] for check in data["checks"].values()] == ["HOLDS", "VIOLATED"]


# --- text ------------------------------------------------------------------------------------------------------------


def test_text_of_a_check_says_everything():
    check = judge(
        made(
            (0.25, 0.75), (1.0, 1.0), series=("layer 0", "layer 1"),
            constants=[Constant(0.125, "low-pass of the frame", "grid", "cycles/s", 0.01)],
            hypotheses=[Hypothesis("poolings commute", True, "Subsample(2)")],
            budget=[ErrorTerm("rounding of the FFT", 1e-12)], search={"ascent": 0.75},
            witness={"f": np.zeros(64), "layer": 1}, extra={"sharper": np.array([0.5, 0.8])},
            notes=("seen on one grid",),
        )
    )  # fmt: skip
    text = str(check)
    assert repr(check) == text
    for part in (
        "HOLDS ✓", "Vertical translation invariance", "75 % of the bound", "layer 1", "|t| in s", "0.125", "cycles/s",
        "low-pass of the frame", "Subsample(2)", "rounding of the FFT", "ascent", "array of shape (64,)", "sharper",
        "seen on one grid", "subject",
    ):  # fmt: skip
        assert part in text, part
    for name in Outcome.__members__:
        again = dataclasses.replace(check, outcome=Outcome[name])
        assert f"{name} {Outcome[name].symbol}" in str(again)
        assert Outcome[name].value[1:].split(":")[0] in " ".join(str(again).split())


def test_text_of_awkward_checks():
    def flat(*arguments, **fields):
        return " ".join(str(judge(made(*arguments, **fields))).split())

    assert "There is no measured value" in flat((), ())
    assert "nan" in flat((math.nan,), (1.0,))
    assert "inf" in flat((1.0,), (0.0,))
    assert "exactly 0 is claimed" in flat((0.0,), (0.0,))
    assert "the network is admissible (here 1.3)" in flat(hypotheses=[NO])
    assert "made up" in flat(claim="made up")


def test_a_ratio_just_above_one_is_not_printed_as_one():
    assert re.search(r"worst ratio 1 \+ 3\.0e-09", str(judge(made((1 + 3e-9,), (1.0,)))))


def test_columns_are_aligned():
    text = str(judge(made((0.25, 123456.0), (1e6, 1e6), series=("layer 0", "a much longer name"))))
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[:1] == ["series"])
    end = lines[start].index("measured") + len("measured")
    assert lines[start + 2][:end].endswith("0.25") and lines[start + 3][:end].endswith("123456")


def test_long_checks_show_the_worst_point_of_each_series():
    n = 60
    measured = np.linspace(0.1, 0.9, n)
    check = judge(made(measured, np.ones(n), series=[f"layer {i % 3}" for i in range(n)]))
    text = str(check)
    assert "3 of 60 points" in text
    rows = [line for line in text.splitlines() if line.startswith("  layer ")]
    assert len(rows) == 3 and any("0.9" in row for row in rows)


def test_text_of_a_verdict_puts_the_gravest_first():
    verdict = Verdict(
        {"fine": judge(made()), "broken": judge(made((2.0,), (1.0,))), "unclear": judge(made((), ()))}, "demo"
    )
    text = str(verdict)
    assert repr(verdict) == text
    assert text.index("broken  ") < text.index("unclear  ") < text.index("fine  ")
    assert "1 of 3 claims are violated: broken" in text
    assert "There are no checks" in str(Verdict({}))


def test_text_of_many_checks_is_short_and_hides_no_violation():
    checks = {f"frame {i}/translation": judge(made()) for i in range(300)}
    checks["frame 300/translation"] = judge(made((2.0,), (1.0,)))
    checks["frame 301/lipschitz"] = judge(made(claim="lipschitz"))
    text = str(Verdict(checks))
    assert len(text.splitlines()) < 60
    assert "frame 300/translation" in text and "301 HOLDS, 1 VIOLATED" in text


# --- HTML ------------------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Collects tags and text and checks that tags are closed in order."""

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


NASTY = "<script>alert('x')</script> & \"quoted\" <img src=x onerror=y>"


def nasty():
    return judge(
        made(
            claim=NASTY, x_label=NASTY, series=(NASTY, NASTY), constants=[Constant(1.0, NASTY, "derived", NASTY)],
            hypotheses=[Hypothesis(NASTY, True, NASTY)], budget=[ErrorTerm(NASTY, 0.0)], search={NASTY: 1.0},
            witness={NASTY: NASTY}, extra={NASTY: np.zeros(2)}, notes=(NASTY,),
            provenance=Provenance(NASTY, grid=NASTY),
        )
    )  # fmt: skip


@pytest.mark.parametrize("make", [nasty, lambda: Verdict({NASTY: nasty()}, NASTY)], ids=["check", "verdict"])
def test_html_is_escaped(make):
    reader = Reader(make()._repr_html_())
    assert not {"script", "img", "style", "link", "a"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert NASTY in reader.text


def test_html_and_text_agree():
    check = judge(made(hypotheses=[YES], search={"ascent": 0.75}, notes=("a note",)))
    text = Reader(check._repr_html_()).text
    for word in ("HOLDS", "derived", "the network is admissible", "ascent", "0.9", "a note"):
        assert word in text and word in str(check)


def test_page_is_self_contained(tmp_path):
    verdict = Verdict({NASTY: judge(made()), "b/c": judge(made((2.0,), (1.0,))), "empty": judge(made((), ()))}, "demo")
    path = verdict.to_html(tmp_path / "page.html")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    reader = Reader(text.removeprefix("<!DOCTYPE html>"))
    assert "script" not in reader.tags and "link" not in reader.tags and "a" not in reader.tags
    sources = [value for name, value in reader.attributes if name == "src"]
    assert len(sources) == 4 and all(source.startswith("data:image/png;base64,iVBOR") for source in sources)
    assert "http" not in text.replace("data:image", "")[:2000]
    assert [value for name, value in reader.attributes if name == "alt" and not value] == []


def test_page_of_many_checks_draws_what_needs_attention(tmp_path):
    from scatter_theory.render._page import drawn

    checks = {f"frame {i}/translation": judge(made()) for i in range(60)}
    checks["frame 3/translation"] = judge(made((2.0,), (1.0,)))
    checks["frame 60/lipschitz"] = judge(made(claim="lipschitz"))
    assert drawn(Verdict(checks)) == ("frame 3/translation", "frame 60/lipschitz")
    text = Verdict(checks).to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("<img") == 3
    assert all(name in text for name in checks)


def test_page_of_nothing(tmp_path):
    assert "no checks" in Verdict({}).to_html(tmp_path / "page.html").read_text(encoding="utf-8")


def test_table_of_a_bank():
    from scatter_theory.render import table_html

    reader = Reader(
        table_html([{"label": NASTY, "centre": (0.25, 1.0), "orientation": None, "peak": 1}], caption=NASTY)
    )
    assert reader.tags.count("th") == 4 and "script" not in reader.tags
    assert "(0.25, 1)" in reader.text
    assert table_html([]) == ""


# --- several bounds --------------------------------------------------------------------------------------------------


def test_comparison_shows_every_bound_and_the_share_that_was_reached():
    others = {"published bound": np.array([2.0, 0.0]), "sup |tau|": np.array([7.0, 7.0])}
    both = made((0.5, 0.9), (1.0, 1.2), extra=others).compare()
    assert list(both.bounds) == ["bound", "published bound"]
    np.testing.assert_allclose(both.tightness["bound"], [0.5, 0.75])
    np.testing.assert_array_equal(both.tightness["published bound"], [0.25, np.nan])
    row = both.table()[0]
    assert row["series"] == "layer 0" and row["of published bound"] == 0.25 and "sup |tau|" not in row
    assert "published bound" in str(both) and "0.25" in str(both)
    assert "<table" in both._repr_html_()


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="no other bound"):
        made().compare()
