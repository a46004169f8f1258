"""The main job on a tiny plan: what it writes, what an interruption keeps, and what its exit code says."""

import base64
import html
import io
import json
import re
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor, wait

import matplotlib.pyplot as plt
import numpy as np
import pytest

import scatter_theory as st
from scatter_theory import report
from scatter_theory.report import _code, _families, _page, _pool, _sharper, _store, _tables, _tasks
from scatter_theory.results import Outcome, Verdict
from scatter_theory.search import Effort

RHO, POOL = st.Modulus(), st.Subsample(2)


def tiny(rho=RHO, pool=POOL):
    """A plan of five tasks: a module, a signal, a family, and two networks, one of them drawn."""
    family = _families.Family("Wavelets, tiny", 1, st.frames.Wavelets(J=4))
    return (
        _tasks.Task("Modulus", "module", nonlinearity=rho),
        _tasks.Task("ECG", "signal", family),
        _tasks.Task(family.name, "family", family),
        _tasks.Task(f"{family.name}/first/Subsample", "network", family, rho, pool),
        _tasks.Task(f"{family.name}/second/NoPooling", "network", family, rho, st.NoPooling()),
    )


@pytest.fixture
def small(monkeypatch):
    """Five tasks, little effort, and no waves, which take seconds."""

    def use(tasks):
        monkeypatch.setattr(_tasks, "plan", lambda *, quick=False: tasks)
        monkeypatch.setattr(_pool, "plan", lambda *, quick=False: tasks)

    for name in ("SEARCH", "SCAN", "IDENTITY", "WARPS"):
        monkeypatch.setattr(_tasks, name, Effort(1, 1, 0, 0))
    monkeypatch.setattr(_tasks, "WAVES", ())
    use(tiny())
    return use


def write(folder, **options):
    """Exit code and what was printed."""
    out, err = io.StringIO(), io.StringIO()
    code = report.write(folder, jobs=1, stdout=out, stderr=err, **options)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One complete tiny report."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SEARCH", "SCAN", "IDENTITY", "WARPS"):
            patch.setattr(_tasks, name, Effort(1, 1, 0, 0))
        patch.setattr(_tasks, "WAVES", ())
        for module in (_tasks, _pool):
            patch.setattr(module, "plan", lambda *, quick=False: tiny())
        folder = tmp_path_factory.mktemp("report")
        return folder, *write(folder)


# --- the plan --------------------------------------------------------------------------------------------------------


def test_the_plan_has_every_combination():
    tasks = _tasks.plan()
    keys = [task.key for task in tasks]
    assert len(keys) == len(set(keys))
    networks = [task for task in tasks if task.kind == "network"]
    chosen = _families.families()
    assert {f.d for f in chosen} == {1, 2} and len({f.name for f in chosen}) == len(chosen) >= 12
    rhos = {type(t.nonlinearity).__name__ for t in networks}
    assert {"Modulus", "ReLU", "Tanh", "Sigmoid"} <= rhos
    pools = {(type(t.pooling).__name__, t.sampling) for t in networks}
    expected = {("NoPooling", "dilate"), ("Subsample", "dilate"), ("Average", "dilate"), ("Max", "decimate")}
    assert expected <= pools
    assert len(networks) == len(chosen) * len(rhos) * len(pools)


def test_the_plan_has_every_frame_family():
    from scatter_theory import config

    made_from_others = {"Complemented", "Normalised", "Scaled", "Tightened", "Union"}
    used = {type(f.frame).__name__ for f in _families.families()}
    assert used == set(config.kinds("frame")) - made_from_others - {"Learned"}, "learned frames are trained, not listed"


@pytest.mark.parametrize("family", _families.families(), ids=lambda f: f.name)
def test_every_network_of_the_plan_is_admissible_and_small(family):
    for rho in _families.NONLINEARITIES:
        for pool, sampling in _families.POOLINGS:
            phi = _tasks.network(_tasks.Task("x", "network", family, rho, pool, sampling))
            assert max(c.value for c in phi.admissibility(refined=True)) <= 1 + 1e-12
            assert phi.plan().coefficients < 200_000
            assert all(count > 0 for count in phi.plan().paths)


def test_signals_are_the_recordings_without_mean_at_unit_power():
    for d in (1, 2):
        f, recording = _families.signals(d).numpy(), _families.recording(d)
        power = (f**2).mean(axis=tuple(range(1, d + 1)))
        assert f.shape == (4, *recording.grid.shape) and power == pytest.approx(np.ones(4), rel=1e-12)
        window = recording.values[1] - recording.values[1].mean()
        assert f[1] == pytest.approx(window / window.std(), abs=1e-12)


# --- what is written -------------------------------------------------------------------------------------------------


def test_a_complete_report(finished):
    folder, code, out, err = finished
    assert code == 0
    assert "Wavelets, tiny" in out and "HOLDS" in out and "VIOLATED" not in out
    assert err.count("\n") == 5 and "5 of 5 tasks" in err
    assert {p.name for p in folder.iterdir()} == {"index.html", "report.json", "figures"}


def test_json_has_all_checks_and_no_signals(finished):
    table = json.loads((finished[0] / "report.json").read_text())
    claims = {_tables.parts(name)[1] for name in table["checks"]}
    asked = {"frame", "nonlinearity", "admissibility", "lipschitz", "energy", "remainder", "balance", "getter"}
    asked |= {"covariance", "translation", "multiplier", "posteriori", "full_covariance", "sharp", "oscillation"}
    assert claims == asked | set(_tables.DEFORMED)
    for name, check in table["checks"].items():
        assert all(np.size(v) <= 4 for v in check["witness"].values() if not isinstance(v, dict)), name
        assert check["outcome"] == "HOLDS", name
        if check["search"]:
            assert "mode" in check["witness"] and "seed" in check["witness"], name
    assert table["errors"] == {} and table["origin"]["seed"] == 0


def test_page_is_self_contained(finished):
    page = (finished[0] / "index.html").read_text(encoding="utf-8")
    assert page.count("<script>") == page.count("<script") == 1 and "http" not in page and len(page) < 8e6
    assert not re.search(r'(?:src|href)="(?!data:image/png;base64,|#)', page)
    assert page.count("data:image/png") == 9
    heads = (
        "Nothing is violated",
        "Wavelets, tiny",
        "Layers needed",
        "Deformations",
        "Sharper bounds",
        "Binary networks",
        "translations up to 2 samples",
    )
    for text in (*heads, "stand-in", "360 samples per second"):
        assert text in page
    for tag in ("table", "section", "figure", "tr", "td", "p", "h2", "h3", "div"):
        assert page.count(f"<{tag}>") + page.count(f"<{tag} ") == page.count(f"</{tag}>"), tag


def test_the_summary_counts_what_held(finished):
    table = json.loads((finished[0] / "report.json").read_text())
    page = (finished[0] / "index.html").read_text(encoding="utf-8")
    (paragraph,) = re.findall(r"<p class='good'>(.*?)</p>", page)
    kinds = {"networks": "tiny/", "frames and deformations": "tiny", "single signals": "ECG", "poolings": "Modulus"}
    for subject, start in kinds.items():
        names = [n.rpartition("/")[0].removeprefix("Wavelets, ") for n in table["checks"]]
        count = sum(n == start or (start.endswith("/") and n.startswith(start)) for n in names)
        assert f"{subject} {count} of {count}" in paragraph and count
    worst = [c["worst_ratio"] for n, c in table["checks"].items() if _tables.parts(n)[1] not in _tables.IDENTITIES]
    assert f"{sum(ratio >= 0.99 for ratio in worst)} are reached within 1 %;" in paragraph


@pytest.fixture
def code(finished, monkeypatch):
    """The code beside each picture of the page, by its file name; it runs in the folder of the report."""
    monkeypatch.chdir(finished[0])
    page = (finished[0] / "index.html").read_text(encoding="utf-8")
    pictures = {base64.b64encode(p.read_bytes()).decode(): p.stem for p in (finished[0] / "figures").iterdir()}
    found = re.findall(r'base64,([^"]*)">.*?<pre>([^<]*)</pre>', page)
    return {pictures[data]: html.unescape(text) for data, text in found}


def test_every_figure_has_short_code(finished, code):
    assert set(code) == {path.stem for path in (finished[0] / "figures").iterdir()}
    for name, text in code.items():
        compile(text, name, "exec")
        assert 3 <= text.count("\n") <= 18 and all(len(line) <= 120 for line in text.splitlines()), name


@pytest.mark.parametrize("name", ["inputs", "overview", "sharper", "wavelets-tiny-tiling", "wavelets-tiny-energy"])
def test_the_code_of_a_figure_draws_it(code, name):
    exec(compile(code[name], name, "exec"), {})
    axes = plt.gcf().axes
    assert axes and any(ax.has_data() or ax.texts for ax in axes)


def test_the_code_of_a_check_finds_what_the_report_found(finished, code):
    """Same networks, signals, displacements and seed: the same numbers."""
    table = json.loads((finished[0] / "report.json").read_text())["checks"]
    for what, name in (("translation", "first/Subsample/translation"), ("deformation", "deformation")):
        *lines, last = code[f"wavelets-tiny-{what}"].strip().splitlines()
        found = {"check": None}
        exec("\n".join([*lines, f"check = {last.removesuffix('.plot()')}"]), found)
        stored = table[f"Wavelets, tiny/{name}"]["points"]
        assert found["check"].measured == pytest.approx([p["measured"] for p in stored], rel=1e-12)
        assert found["check"].bound == pytest.approx([p["bound"] for p in stored], rel=1e-12)


@pytest.mark.parametrize("family", _families.families(), ids=lambda f: f.name)
def test_the_code_of_a_family_makes_its_network(family):
    """The same signals and the same atoms, also where the repr of a frame is no code."""
    fact = {"d": family.d, "treatment": family.treatment, "paths": repr(family.paths)}
    fact["code"] = family.code or f"frame = st.frames.{family.frame!r}"
    *lines, _ = _code.of_family(fact, "energy", 0).strip().splitlines()
    made = {}
    exec("\n".join(lines), made)
    phi = _tasks.network(_tasks._unpooled(_tasks.Task(family.name, "family", family)))
    np.testing.assert_array_equal(made["f"], _families.signals(family.d))
    assert made["phi"].path_rule == phi.path_rule and made["phi"].depth == phi.depth
    for own, expected in zip(made["phi"].banks, phi.banks, strict=True):
        np.testing.assert_array_equal(own.spectra, expected.spectra)
        np.testing.assert_array_equal(own.output, expected.output)


def pixels(png):
    """Raw bytes of a PNG image, and its size."""
    width, height = struct.unpack(">II", png[16:24])
    position, data = 8, b""
    while position < len(png):
        (length,) = struct.unpack(">I", png[position : position + 4])
        if png[position + 4 : position + 8] == b"IDAT":
            data += png[position + 8 : position + 8 + length]
        position += 12 + length
    return zlib.decompress(data), width, height


def test_figures_are_drawn(finished):
    figures = sorted((finished[0] / "figures").iterdir())
    assert {p.name for p in figures} == {
        "estimators.png", "inputs.png", "overview.png", "sharper.png", "wavelets-tiny-deformation.png",
        "wavelets-tiny-energy.png", "wavelets-tiny-littlewood-paley.png", "wavelets-tiny-tiling.png",
        "wavelets-tiny-translation.png",
    }  # fmt: skip
    for path in figures:
        raw, width, height = pixels(path.read_bytes())
        assert width > 300 and height > 200 and len(set(raw)) > 50, path.name


def test_a_check_survives_the_store(finished):
    table = json.loads((finished[0] / "report.json").read_text())
    for name, stored in table["checks"].items():
        check = _store.restored(stored)
        assert _store.plain(check) == stored, name
        assert check.outcome.name in str(check)
    grid = st.Grid.line(16)
    odd = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=2), st.Tanh())], grid)
    check = st.verify.energy(odd, form="balance", effort=Effort(1, 0, 0, 0), generator=0)
    assert np.isinf(check.worst) and _store.restored(json.loads(json.dumps(_store.plain(check)))).worst == check.worst


def test_energies_of_a_tight_family_add_up(finished):
    fact = json.loads((finished[0] / "report.json").read_text())["facts"]["Wavelets, tiny"]
    assert sum(fact["energy"]) + fact["propagated"] + fact["pruned"] == pytest.approx(1, abs=1e-12)
    assert fact["A"] == pytest.approx(1, abs=1e-12) and fact["B"] == pytest.approx(1, abs=1e-12)


def test_sharper_bounds_are_closer_and_hold(finished):
    """The sharp bound is below the published one, the family's certificate is closed and proves itself again."""
    table = json.loads((finished[0] / "report.json").read_text())
    sharp = _store.restored(table["checks"]["Wavelets, tiny/sharp"])
    layer_1 = sharp.series.index("layer 1")
    assert sharp.bound[layer_1] < 0.75 * sharp.extra["published bound"][layer_1]
    phi = _tasks.network(_tasks._unpooled(tiny()[2]))
    assert sharp.certificates and sharp.recheck(phi)
    stored = table["enclosed"]["ECG"]
    certificate = st.certify.FamilyCertificate.from_dict(stored["certificate"])
    assert stored["family"] == "translations up to 2 samples" and certificate.closed
    assert certificate.recheck(phi, _families.signals(1)[0])


def test_a_certificate_that_does_not_prove_itself_is_an_error(monkeypatch):
    monkeypatch.setattr(st.certify.FamilyCertificate, "recheck", lambda *_: False)
    with pytest.raises(RuntimeError, match=r"ECG.*does not prove"):
        _tasks._enclosed(tiny()[1])


def test_waves_are_checked_where_filters_are_functions_of_frequency(monkeypatch):
    """One wave of a quarter of a sample, stored and drawn; no waves for images, nor for taps, whose filters change."""
    monkeypatch.setattr(_tasks, "AMPLITUDES", (0.25,))
    monkeypatch.setattr(_tasks, "WARPS", Effort(1, 1, 0, 0))
    task = tiny()[2]
    jobs = dict(_tasks._family_checks(task, 0))
    check = _store.restored(_store.plain(jobs["wave 1"]()))
    assert {"wave 1", "wave 4"} <= set(jobs) and check.outcome is Outcome.HOLDS
    assert check.recheck(_tasks.network(_tasks._unpooled(task)))
    heads, (row,) = _sharper.waves({f"{task.family.name}/wave 1": check}, [task.family.name])
    assert row[heads.index("amplitude")] == "0.25" and float(row[heads.index("of network bound")]) == pytest.approx(
        check.worst, abs=1e-4
    )
    for name in ("Daubechies taps", "tensor wavelets"):
        other = next(f for f in _families.families() if f.name == name)
        claims = {claim for claim, _ in _tasks._family_checks(_tasks.Task(name, "family", other), 0)}
        assert "sharp" in claims and not any(c.startswith("wave") for c in claims)


def test_every_claim_of_the_plan_has_a_column():
    assert set(_tables.SHARPER) == {"sharp", "oscillation", *(f"wave {mode}" for mode in _tasks.WAVES)}
    assert {*_tables.SHARPER, *_tables.DEFORMED} <= set(_tables.CLAIMS)


def test_layers_needed_are_those_of_the_theory():
    heads, rows = _tables.needed()
    at = heads.index("95 %")
    assert [row[at] for row in rows] == [
        str(st.theory.layers_needed(0.95, rate=a, m=1.0001)) for a in (5 / 3, 1.5, None)
    ]
    assert rows[0][at] == "8" and rows[2][at] == "39"


# --- interruption ----------------------------------------------------------------------------------------------------


def stripped(folder):
    """Checks of a report without the times of their measurement."""
    checks = json.loads((folder / "report.json").read_text())["checks"]
    for check in checks.values():
        del check["provenance"]["seconds"], check["provenance"]["date"]
    return checks


def test_an_interrupted_report_resumes_and_loses_nothing(small, finished, tmp_path, monkeypatch):
    original, performed = _tasks.perform, []

    def interrupted(task, seed, out):
        if len(performed) == 2:
            raise KeyboardInterrupt
        performed.append(task.key)
        return original(task, seed, out)

    monkeypatch.setattr(_pool, "perform", interrupted)
    err = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        report.write(tmp_path, jobs=1, stdout=io.StringIO(), stderr=err)
    assert "2 of 5 tasks are kept" in err.getvalue() and "same command" in err.getvalue()
    assert len((tmp_path / _store.UNFINISHED).read_text().splitlines()) == 2
    with (tmp_path / _store.UNFINISHED).open("a") as stream:
        stream.write('{"version": "cut o')

    again = []
    monkeypatch.setattr(_pool, "perform", lambda task, seed, out: again.append(task.key) or original(task, seed, out))
    code, _, told = write(tmp_path)
    assert code == 0 and "resuming: 2 of 5" in told
    assert performed + again == [task.key for task in tiny()]
    assert stripped(tmp_path) == stripped(finished[0])
    assert not (tmp_path / _store.UNFINISHED).exists()


def test_another_seed_starts_anew(small, tmp_path):
    version = _store.fingerprint(0, quick=False)
    _store.Store(tmp_path, version).add({"key": "Modulus", "kind": "module", "checks": {}})
    assert "Modulus" in _store.Store(tmp_path, version).results
    assert _store.fingerprint(1, quick=False) != version != _store.fingerprint(0, quick=True)
    assert _store.Store(tmp_path, _store.fingerprint(1, quick=False)).results == {}
    assert _store.Store(tmp_path, version).results == {}


def test_the_version_changes_with_the_source(tmp_path, monkeypatch):
    (tmp_path / "__init__.py").write_text("a = 1\n")
    monkeypatch.setattr(st, "__file__", str(tmp_path / "__init__.py"))
    before = _store.fingerprint(0, quick=False)
    assert _store.fingerprint(0, quick=False) == before
    (tmp_path / "__init__.py").write_text("a = 2\n")
    assert _store.fingerprint(0, quick=False) != before


# --- exit codes ------------------------------------------------------------------------------------------------------


def test_a_wrong_constant_is_a_violation(small, tmp_path):
    """A map with slope 1.3 that is declared to have 1, and a pooling that doubles: exit code 1, named in the output."""
    wrong = st.Pointwise(lambda x: 1.3 * x, 1.0, "expansive")
    small(tiny(wrong, st.Pool(lambda x: 2.0 * x, 1.0, name="doubling")))
    code, out, _ = write(tmp_path)
    assert code == 1
    assert "VIOLATED: Modulus/nonlinearity" in out and "VIOLATED: Wavelets, tiny/first/Subsample/lipschitz" in out
    page = (tmp_path / "index.html").read_text()
    assert "checks are violated" in page and "What needs attention" in page and "class='alarm'" in page


def test_an_error_is_not_a_violation(small, tmp_path, monkeypatch):
    """A task that fails leaves the others alone, is shown, has its own exit code, and is tried again."""
    original = _tasks.perform

    def failing(task, seed, out):
        if task.key == "Modulus":
            raise RuntimeError("lost a number")
        return original(task, seed, out)

    monkeypatch.setattr(_pool, "perform", failing)
    code, out, _ = write(tmp_path)
    assert code == report.CRASHED not in (0, 1, 2, 3)
    assert "failed with an error: Modulus" in out and "lost a number" in (tmp_path / "index.html").read_text()
    monkeypatch.setattr(_pool, "perform", original)
    code, _, err = write(tmp_path)
    assert code == 0 and "resuming: 4 of 5" in err


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [("HOLDS", 0), ("HOLDS INAPPLICABLE", 0), ("HOLDS VIOLATED INCONCLUSIVE", 1), ("HOLDS INCONCLUSIVE", 3),
     ("HOLDS VACUOUS", 3), ("INAPPLICABLE", 3), ("INCONCLUSIVE", 3), ("", 3)],
)  # fmt: skip
def test_exit_codes(finished, outcomes, code):
    import dataclasses

    table = json.loads((finished[0] / "report.json").read_text())
    check = _store.restored(next(iter(table["checks"].values())))
    checks = {o: dataclasses.replace(check, outcome=Outcome[o]) for o in outcomes.split()}
    assert report.exit_code(Verdict(checks)) == code
    assert report.exit_code(Verdict(checks), failed=True) == (1 if code == 1 else report.CRASHED)


# --- processes and progress ------------------------------------------------------------------------------------------


def test_two_processes_find_what_one_finds(tmp_path):
    tasks = [t for t in _tasks.plan() if t.key in ("NoPooling (dilate)", "Subsample (dilate)")]
    options = {"seed": 3, "out": tmp_path, "quick": False, "say": print}

    def values(jobs):
        found = {r["key"]: r["checks"] for r in _pool.results(tasks, jobs=jobs, **options)}
        return {k: {n: c["points"] for n, c in found[k].items()} for k in sorted(found)}

    assert values(2) == values(1) and len(values(1)) == 2


def test_an_interruption_keeps_what_is_running(tmp_path, monkeypatch):
    """One task is done and two are running: those two are waited for and given, the others are never begun."""
    tasks, finish, performed, found, told = tiny(), threading.Event(), [], [], []

    def perform(key, *_):
        performed.append(key)
        assert key == tasks[0].key or finish.wait(10)
        return {"key": key}

    def interrupted(running, **options):
        if found:
            raise KeyboardInterrupt
        return wait(running, **options)

    def say(text):
        told.append(text)
        finish.set()

    monkeypatch.setattr(_pool, "ProcessPoolExecutor", lambda jobs, **_: ThreadPoolExecutor(jobs))
    monkeypatch.setattr(_pool, "by_key", perform)
    monkeypatch.setattr(_pool, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        for result in _pool.results(tasks, seed=0, out=tmp_path, quick=False, jobs=2, say=say):
            found.append(result["key"])
    assert found[0] == tasks[0].key and sorted(found) == sorted(performed) == sorted(task.key for task in tasks[:3])
    assert told == ["\ninterrupted: waiting for the tasks that are running"]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def test_progress_on_a_terminal_is_one_line():
    stream, clock = Terminal(), iter(np.arange(0.0, 100.0, 2.0))
    progress = _pool.Progress(4, stream=stream, clock=lambda: next(clock))
    for k in range(4):
        progress.step({"HOLDS": 10 * (k + 1), "INAPPLICABLE": k, "VIOLATED": 0})
    lines = stream.getvalue().split("\r")[1:]
    assert stream.getvalue().count("\n") == 1 and len(lines) == 4
    assert lines[1].startswith("2 of 4 tasks, 20 HOLDS, 1 INAPPLICABLE, about 4 s left")


def test_progress_of_tasks_without_checks_has_no_gap():
    stream = io.StringIO()
    _pool.Progress(1, stream=stream, clock=iter(np.arange(2.0)).__next__).step({})
    assert stream.getvalue().rstrip() == "1 of 1 tasks, about 0 s left"


def test_progress_elsewhere_is_ten_lines():
    stream = io.StringIO()
    progress = _pool.Progress(95, done=5, stream=stream, clock=iter(np.arange(1000.0)).__next__)
    for k in range(90):
        progress.step({"HOLDS": k})
    lines = stream.getvalue().splitlines()
    assert 9 <= len(lines) <= 11 and lines[-1].startswith("95 of 95 tasks") and "\r" not in stream.getvalue()


def test_cells_show_what_does_not_hold(finished):
    import dataclasses

    table = json.loads((finished[0] / "report.json").read_text())
    check = _store.restored(table["checks"]["Wavelets, tiny/first/Subsample/translation"])
    bad = dataclasses.replace(check, outcome=Outcome.VIOLATED)
    none = dataclasses.replace(check, outcome=Outcome.INAPPLICABLE)
    assert _tables.cell([check], "translation") == f"{check.worst:.4f}"
    assert _tables.cell([check, bad], "translation").endswith("✗")
    assert _tables.cell([none], "translation") == "–" and _tables.cell([], "translation") == ""
    identity = _store.restored(table["checks"]["Wavelets, tiny/first/Subsample/covariance"])
    assert float(_tables.cell([identity], "covariance")) < 1e-12


def test_names_are_escaped(finished):
    table = json.loads((finished[0] / "report.json").read_text())
    facts = {"<b>": table["facts"]["Wavelets, tiny"]}
    page = _page.page(Verdict({}), facts, {}, {}, {"<i>": "<u>"}, {"seed": 0}, finished[0])
    assert "<b></h3>" not in page and "&lt;b&gt;" in page and "<u>" not in page
