"""Every public name has a page of the reference, and a docstring with parameters, shapes, units, results and errors."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
import textwrap
from enum import Enum
from pathlib import Path
from types import ModuleType

import pytest

import scatter_theory

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "api").glob("*.md"))
ROOM = re.compile(r"^```\{room\} (\S+)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)

#: Packages whose names no user needs: drawing of tables, the page of the main job, the fast engine's inner seams.
INNER = {"render", "report", "engine"}
SECTIONS = ("Parameters", "Attributes", "Returns", "Yields", "Raises", "Warns", "Notes", "Examples", "References")
SCALE = r"(?i:unit|cycles|samples|shares?\b|radians|periods?\b|octaves|degrees|pixels|ratio|without)"


def public(module):
    """What a room shows: the rule of `docs/extensions/rooms.py`, written down once more."""
    names = getattr(module, "__all__", None)
    own = [n for n, v in vars(module).items() if n[0] != "_" and getattr(v, "__module__", None) == module.__name__]
    return list(names or own)


def walk():
    """Every public function and class that the reference describes, by its name there."""
    seen, found = set(), {}
    for page in PAGES:
        for name, body in ROOM.findall(page.read_text(encoding="utf-8")):
            module = importlib.import_module(name)
            for member in body.split() or public(module):
                value = getattr(module, member)
                if (inspect.isclass(value) or inspect.isroutine(value)) and id(value) not in seen:
                    seen.add(id(value))
                    found[f"{name}.{member}"] = value
    return found


API = walk()
CLASSES = {name: value for name, value in API.items() if inspect.isclass(value)}
METHODS = {
    f"{name}.{key}": value.__func__ if isinstance(value, classmethod | staticmethod) else value
    for name, cls in CLASSES.items()
    for key, value in vars(cls).items()
    if key[0] != "_" and isinstance(value, classmethod | staticmethod | type(walk))
}


def own_doc(value):
    """Docstring of the object itself, not of a class above it."""
    return inspect.cleandoc(vars(value).get("__doc__") or "") if inspect.isclass(value) else inspect.getdoc(value) or ""


def sections(doc):
    """Body of every section of a docstring in numpydoc form; `None`: what stands above the first."""
    parts = re.split(rf"^({'|'.join(SECTIONS)})\n-+\n", doc, flags=re.MULTILINE)
    return {None: parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def items(body):
    """(names, type, description) of every entry of a section."""
    for entry in re.split(r"\n(?=\S)", body.strip("\n")):
        first, _, description = entry.partition("\n")
        names, _, kind = first.partition(" : ")
        yield [n.strip().lstrip("*") for n in names.split(",")], kind, " ".join(description.split())


def documented(doc):
    """Names in the section of parameters."""
    return [n for names, _, _ in items(sections(doc).get("Parameters", "")) for n in names if n]


def arguments(value):
    """Names that a caller may pass; private ones are set by the package itself."""
    if inspect.isclass(value) and (issubclass(value, BaseException | Enum) or getattr(value, "_is_protocol", False)):
        return []
    names = [p.name for p in inspect.signature(value).parameters.values() if p.name[0] != "_"]
    return [n for n in names if n != "self" and not (n == "cls" and not inspect.isclass(value))]


def raised(value):
    """Exceptions that a function, or the construction of a class, raises in its own body."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]
    bodies = [tree]
    if inspect.isclass(value):
        bodies = [n for n in tree.body if getattr(n, "name", "") in ("__init__", "__post_init__", "__new__")]
    calls = [n.exc for body in bodies for n in ast.walk(body) if isinstance(n, ast.Raise) and n.exc is not None]
    names = {getattr(call.func if isinstance(call, ast.Call) else call, "id", "") for call in calls}
    return {n for n in names if inspect.isclass(getattr(builtins, n, None))}


def missing(check):
    """Names of the walk with what a check says is missing there."""
    return {name: found for name, value in API.items() if (found := check(value))}


# --- the walk itself -------------------------------------------------------------------------------------------------


def test_every_public_package_has_a_page():
    shown = {name for page in PAGES for name, _ in ROOM.findall(page.read_text(encoding="utf-8"))}
    packages = {p.parent.name for p in (ROOT / "scatter_theory").glob("*/__init__.py") if not p.parent.name[0] == "_"}
    assert {f"scatter_theory.{p}" for p in packages - INNER} <= shown
    exported = {n for n in scatter_theory.__all__ if isinstance(getattr(scatter_theory, n), ModuleType)}
    assert {f"scatter_theory.{n}" for n in exported} <= shown


def test_the_walk_finds_what_users_call():
    assert len(API) > 300
    assert {"scatter_theory.FeatureExtractor", "scatter_theory.verify.translation", "scatter_theory.bnn.ReSTE"} <= set(
        API
    )
    assert {"scatter_theory.FeatureExtractor.forward", "scatter_theory.frames.Bank.bounds"} <= set(METHODS)


def example(x, sampling="dilate"):
    """An example.

    Parameters
    ----------
    x : array
        Signals.
    depth : int
        Layers.

    Returns
    -------
    array
        Signals.
    """
    if x is None:
        raise ValueError(sampling)
    return x


def test_the_checks_find_what_they_look_for():
    assert undocumented(example) == ["sampling"]
    assert foreign(example) == ["depth"]
    assert raises_nothing(example) == ["ValueError"]
    assert shapeless(example) == ["x"] and shapeless(example, "Returns") == ["array"]
    assert not no_result(example) and no_result(walk)


# --- docstrings ------------------------------------------------------------------------------------------------------


def undocumented(value):
    """Parameters that the docstring does not have."""
    return [n for n in arguments(value) if n not in documented(own_doc(value))]


def foreign(value):
    """Parameters of the docstring that the signature does not have."""
    names = arguments(value)
    return [n for n in documented(own_doc(value)) if names and n not in names and "kwargs" not in names]


def no_result(value):
    """Whether a function returns something and does not say what."""
    if inspect.isclass(value) or inspect.signature(value).return_annotation in ("None", None):
        return False
    return not {"Returns", "Yields"} & set(sections(own_doc(value)))


def raises_nothing(value):
    """Exceptions of the body that the docstring does not have."""
    return sorted(e for e in raised(value) if e not in sections(own_doc(value)).get("Raises", ""))


def shapeless(value, section="Parameters"):
    """Arrays among the parameters, or the results, of which neither the type nor the description says a shape."""
    told = r"\(.*\)|\bshape|\bscalar\b|\blike\b|\b(?:of|or|to) (?:arrays?|tensors?)\b|\bsequence of\b"
    found = []
    for names, kind, text in items(sections(own_doc(value)).get(section, "")):
        kind = kind or ", ".join(names)  # a result has no name
        if re.search(r"\b[aA]rrays?\b|\b[tT]ensors?\b", re.sub(r'"\w*"', "", kind)):
            found += [] if re.search(told, f"{kind} {text}") else names
    return found


QUANTITIES = {"amplitude", "angle", "cutoff", "extent", "frequencies", "K", "omega", "phase", "radius", "sample_rate",
              "shifts", "sigma", "spacing", "sup_tau", "t", "tau", "wavevector"}  # fmt: skip
#: Rooms in which letters such as t and K are no lengths.
ABSTRACT = ("scatter_theory.bnn", "scatter_theory.pruning", "scatter_theory.meters")


def unitless(value):
    """Physical quantities among the parameters of which nothing says the unit; counts have none."""
    entries = items(sections(own_doc(value)).get("Parameters", ""))
    told = SCALE + r"|\b[Aa]s (?:for|in) |\b[Gg]rid\b|^int\b"
    return [
        n for names, kind, text in entries for n in names if n in QUANTITIES and not re.search(told, f"{kind} {text}")
    ]


def test_every_parameter_is_documented():
    assert missing(undocumented) == {}


def test_no_parameter_is_made_up():
    assert missing(foreign) == {}
    assert {name: found for name, method in METHODS.items() if (found := foreign(method))} == {}


def test_every_result_is_documented():
    assert missing(no_result) == {}


def test_every_error_of_the_body_is_documented():
    assert missing(raises_nothing) == {}


def test_errors_of_methods_are_documented():
    """In the docstring of the method, or in that of its class."""
    found = {
        name: [
            e
            for e in raised(method)
            if e not in f"{inspect.getdoc(method)} {own_doc(CLASSES[name.rpartition('.')[0]])}"
        ]
        for name, method in METHODS.items()
    }
    assert {name: errors for name, errors in found.items() if errors} == {}


def test_arrays_have_shapes():
    assert missing(shapeless) == {}
    assert missing(lambda value: shapeless(value, "Returns")) == {}


def test_quantities_have_units():
    assert {name: found for name, found in missing(unitless).items() if not name.startswith(ABSTRACT)} == {}


def test_methods_have_docstrings():
    assert [name for name, method in METHODS.items() if not inspect.getdoc(method)] == []


def test_docstrings_pass_the_validation_of_numpydoc():
    """Unknown sections, their order, the form of entries: what numpydoc can judge and this package keeps."""
    validate = pytest.importorskip("numpydoc.validate", reason="numpydoc comes with the extra `docs`").validate
    kept = {"GL01", "GL05", "GL06", "GL07", "GL10", "PR02", "PR05", "RT05", "YD01"}
    found = {name: [e for e in validate(name)["errors"] if e[0] in kept] for name in API}
    assert {name: errors for name, errors in found.items() if errors} == {}
