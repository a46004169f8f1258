"""The files around the package: citation, README, `run`, and what must not be in any tracked file."""

import os
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml

import scatter_theory

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def blocks(text, language):
    """Fenced code blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


# --- citation and metadata -------------------------------------------------------------------------------------------


def test_citation_names_software_and_papers():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["license"] == PROJECT["license"]
    assert str(citation["version"]) == PROJECT["version"]
    for work in (citation, citation["preferred-citation"], *citation["references"]):
        assert work["title"] and work["authors"]
        assert all("name" in author or {"family-names", "given-names"} <= set(author) for author in work["authors"])
        assert re.fullmatch(r"10\.\d{4,}/\S+", work.get("doi", "10.0000/none"))
    for paper in (citation["preferred-citation"], *citation["references"]):
        assert 1900 < paper["year"] < 2100 and paper["type"] in {"article", "conference-paper", "generic"}


def test_version_is_the_same_everywhere():
    assert scatter_theory.__version__ == PROJECT["version"]


def test_changelog_has_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## (\[Unreleased\]|\[?{re.escape(PROJECT['version'])}\b)", changelog, flags=re.MULTILINE)


def test_pins_lie_in_the_declared_ranges():
    from packaging.requirements import Requirement

    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {pin.name.lower(): pin for pin in map(Requirement, (line for line in lines if line and line[0] != "#"))}
    declared = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for requirement in map(Requirement, chain.from_iterable(declared)):
        pin = pins.get(requirement.name.lower())
        if pin is not None:
            (exact,) = pin.specifier
            assert exact.operator == "==" and "+" not in exact.version
            assert requirement.specifier.contains(exact.version), (str(requirement), str(pin))
    assert {Requirement(name).name.lower() for name in PROJECT["dependencies"]} <= set(pins)


# --- README ----------------------------------------------------------------------------------------------------------


def test_readme_code_runs(tmp_path):
    """All Python blocks, one after another as a reader would type them, with warnings as errors."""
    code = "\n".join(blocks(README, "python"))
    assert "import scatter_theory" in code
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


def test_readme_links_lead_somewhere():
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", README)
    assert targets and [target for target in targets if not (ROOT / target).exists()] == []


# --- run -------------------------------------------------------------------------------------------------------------


def start(*arguments, folder=ROOT, **environment):
    return subprocess.run(
        ["bash", str(ROOT / "run"), *arguments],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=30,
    )  # fmt: skip


def test_run_lists_its_commands_from_anywhere(tmp_path):
    result = start("help", folder=tmp_path)
    assert result.returncode == 0
    listed = set(re.findall(r"^  (\w+) ", result.stdout, flags=re.MULTILINE))
    assert listed == {"test", "study", "notebook", "docs", "lint", "clean", "help"}
    shown = {name for block in blocks(README, "bash") for name in re.findall(r"^\./run (\w+)", block, re.MULTILINE)}
    assert shown and shown <= listed


@pytest.mark.parametrize("unknown", ["tests", "main", "--fast", ""])
def test_run_refuses_an_unknown_command(unknown):
    result = start(unknown)
    assert result.returncode == 2
    assert "unknown command" in result.stderr and "notebook" in result.stderr


def test_run_is_executable():
    assert os.access(ROOT / "run", os.X_OK) and os.access(ROOT / ".ci" / "run", os.X_OK)


# --- what no tracked file may contain --------------------------------------------------------------------------------

# Each pattern is written so that it does not match its own text: one letter of every word stands in brackets.
FORBIDDEN = {
    "a path of one machine": r"(?<![\w.])/(?:wor[k]|roo[t]|hom[e]|tm[p]|op[t]|User[s]|far[m])/\w",
    "a package-index host": r"pyp[i]\.org|pythonhoste[d]\.org|download\.pytorc[h]\.org|piwheel[s]\.org"
    r"|--(?:extra-)?index-ur[l]\s+\w",
    "how the text was produced": r"\b(?:this|previous|next|earlier) sessio[n]\b|\bdeveloper sessio[n]"
    r"|\bsub-?agen[t]|\bAI agen[t]|\blanguage mode[l]|\bchatgp[t]|\bcopilo[t]\b|\bclaud[e]\b|\banthropi[c]\b|\bCE[O]\b",
    "a reference to private notes": r"\bshared/(?:spe[c]|desig[n])|\[(?:recalle[d]|me[m]|refereed|read-2n[d])\]"
    r"|\b(?:theory|frames|verification|layout|ecosystem)\.m[d] (?:sectio[n]|§|\d)",
    "the number of an issue": r"(?<!kymatio )\bissue [#]?\d|\b(?:closes|fixes|see) [#]\d",
    "unfinished work": r"\b(?:TOD[O]|FIXM[E]|XX[X])\b",
}


def tracked_text():
    """Every tracked text file, as (path, line number, line)."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listing.split("\0")):
        path = ROOT / name
        if not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            yield name, number, line


def test_no_forbidden_word_in_tracked_files():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: the list of tracked files is unknown")
    patterns = {reason: re.compile(pattern, flags=re.IGNORECASE) for reason, pattern in FORBIDDEN.items()}
    found = [
        f"{name}:{number}: {reason}: {line.strip()[:100]}"
        for name, number, line in tracked_text()
        for reason, pattern in patterns.items()
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("reason", "parts"),
    [
        ("a path of one machine", ("see /wo", "rk/main/file")),
        ("a path of one machine", ("'/tm", "p/x.png'")),
        ("a package-index host", ("https://py", "pi.org/simple")),
        ("how the text was produced", ("written in an earlier ses", "sion")),
        ("a reference to private notes", ("from sha", "red/spec")),
        ("the number of an issue", ("as iss", "ue 2 asks")),
        ("unfinished work", ("# TO", "DO later")),
    ],
)
def test_forbidden_patterns_find_what_they_name(reason, parts):
    assert re.search(FORBIDDEN[reason], "".join(parts), flags=re.IGNORECASE)


@pytest.mark.parametrize(
    "innocent",
    ["tmp_path / 'x'", "2 / work", "scope='session'", "w/o root", "kymatio issue 1068", "https://arxiv.org/abs/1"],
)
def test_forbidden_patterns_leave_plain_text_alone(innocent):
    assert not any(re.search(pattern, innocent, flags=re.IGNORECASE) for pattern in FORBIDDEN.values())
