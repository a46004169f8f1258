"""Commands: ``report``, ``verify``, ``sweep``, ``extract``, ``list`` and ``show``."""

from __future__ import annotations

import argparse
import inspect
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from scatter_theory import __version__, config, data, report, sweeps, verify
from scatter_theory.report import CRASHED
from scatter_theory.theory import THEOREMS

USAGE = 2
INTERRUPTED = 130

#: Theorems by the names of the checks, where those differ.
_THEOREM_OF = {
    "balance": "energy",
    "rate": "decay_rate",
    "decay": "decay_sharp",
    "sharp": "translation_sharp",
    "multiplier": "translation",
    "posteriori": "translation_posteriori",
    "deformation": "deformation_band_limited",
}

_CODES = """exit codes: 0 everything that applies holds; 1 something is violated; 2 wrong usage or a wrong file;
3 nothing is violated, but a check is inconclusive or vacuous, or nothing applies; 70 an unexpected error (it says
nothing about any bound); 130 interrupted."""


_REPORT = """send an ECG and a photograph through all frame families, non-linearities and poolings, and check every
bound: minutes on two cores. What is finished is kept; the same command goes on after an interruption."""

_VERIFY = """search for the worst case of every claim, or of some, in the network that the file describes, and set it
beside the bound. All claims take a minute or more; `list claims` tells what they mean."""

_SWEEP = """measure every cell of a space that is not in the store yet. Exit code 1 if a stored verdict of its cells is
VIOLATED, 3 if cells failed, 0 otherwise."""

_WORKERS = "a number of processes, 'dask', or the address of a Dask scheduler (default: this process)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code, see `--help`.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: ``sys.argv[1:]``.

    Raises
    ------
    SystemExit
        With code 2 for wrong usage, 0 after ``--help`` and ``--version``.
    """
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (config.ConfigError, FileNotFoundError, UsageError, sweeps.StoreError) as error:
        print(f"scatter_theory: {error}", file=sys.stderr)
        return USAGE


def run() -> None:
    """Run ``main`` and leave the interpreter: an unexpected error has a code of its own, never that of a violation."""
    try:
        code = main()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception:
        traceback.print_exc()
        code = CRASHED
    sys.exit(code)


class UsageError(ValueError):
    """Arguments that do not fit together."""


def _parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "scatter_theory", description="Bounds of deep frame-based feature extractors, measured.", epilog=_CODES,
        formatter_class=form,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    part = commands.add_parser(
        "report", help="all frame families on real signals", description=_REPORT, epilog=_CODES, formatter_class=form
    )
    part.add_argument("--out", default="report", help="folder (default: report)")
    part.add_argument("--quick", action="store_true", help="two families only, to try it out")
    part.add_argument("--seed", type=int, default=0, help="seed of every search (default: 0)")
    part.add_argument("--jobs", type=_positive, default=2, help="processes (default: 2)")
    part.set_defaults(command=_report)

    part = commands.add_parser(
        "verify", help="one network from a TOML file", description=_VERIFY, epilog=_CODES, formatter_class=form
    )
    part.add_argument("file", metavar="NET.toml", help="grid and layers; docs/howto/network.toml is an example")
    part.add_argument(
        "--claim", action="append", choices=list(verify.CLAIMS), metavar="CLAIM",
        help="one of `list claims`; may be repeated (default: all)",
    )  # fmt: skip
    part.add_argument("--signal", metavar="FILE.npy", help="signals (*batch, *shape) to start from")
    part.add_argument("--seed", type=int, default=0, help="seed of every search (default: 0)")
    part.add_argument("--json", metavar="FILE", help="write all numbers")
    part.add_argument("--html", metavar="FILE", help="write a page with figures")
    part.set_defaults(command=_verify)

    part = commands.add_parser(
        "sweep", help="many networks, resumable", description=_SWEEP, epilog=_CODES, formatter_class=form
    )
    part.add_argument("file", metavar="SPACE.toml", help="alternatives or cells; also .json")
    part.add_argument("--store", required=True, metavar="FILE.sqlite", help="results; made, or gone on with")
    part.add_argument("--measure", help="default: the one that the file names")
    part.add_argument("--executor", type=_executor, help=_WORKERS)
    part.add_argument("--retry-failed", action="store_true", help="measure failed cells again")
    part.add_argument("--dry-run", action="store_true", help="count cells, paths and bytes, and measure nothing")
    part.add_argument("--csv", metavar="FILE", help="write the table")
    part.set_defaults(command=_sweep)

    part = commands.add_parser("extract", help="features of a data set, resumable")
    part.add_argument("file", metavar="NET.toml")
    part.add_argument("data", metavar="DATA", help="a .npy or idx file, a folder of .npy files, or a quoted pattern")
    part.add_argument("store", metavar="FOLDER.zarr", help="features; made, or gone on with")
    part.add_argument("--engine", choices=["fast", "exact"], default="fast", help="default: fast, single precision")
    part.add_argument("--dtype", choices=["float16", "float32", "float64"], default="float32", help="of the output")
    part.add_argument("--chunk", type=_positive, help="signals per chunk (default: at most 64 MiB of features)")
    part.add_argument("--executor", type=_executor, help=_WORKERS)
    part.add_argument("--dry-run", action="store_true", help="count chunks, paths and bytes, and write nothing")
    part.set_defaults(command=_extract)

    part = commands.add_parser("list", help="names for NET.toml and --claim")
    part.add_argument("what", choices=["frames", "nonlinearities", "poolings", "claims"])
    part.set_defaults(command=_list)

    part = commands.add_parser("show", help="the theorem behind a claim")
    part.add_argument("what", choices=["claim"])
    part.add_argument("name", choices=sorted({*verify.CLAIMS, *THEOREMS}), metavar="NAME", help="of `list claims`")
    part.set_defaults(command=_show)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"got {number}, expected a whole number >= 1")
    return number


def _executor(text: str) -> int | str:
    return _positive(text) if text.isdigit() else text


def _report(options: argparse.Namespace) -> int:
    return report.write(options.out, quick=options.quick, seed=options.seed, jobs=options.jobs)


def _verify(options: argparse.Namespace) -> int:
    phi = config.load(options.file)
    signals = None
    if options.signal:
        try:
            signals = data.load(options.signal)
            phi.prepare(signals)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{options.signal}: {error}") from error
    title = Path(options.file).name
    verdict = verify.suite(phi, signals, claims=options.claim, generator=options.seed, progress=_told, title=title)
    print(verdict)
    if options.json:
        verdict.to_json(options.json)
    if options.html:
        verdict.to_html(options.html)
    return verdict.exit_code


def _sweep(options: argparse.Namespace) -> int:
    try:
        result = sweeps.sweep(
            options.file, options.measure, store=options.store, executor=options.executor,
            retry_failed=options.retry_failed, dry_run=options.dry_run,
        )  # fmt: skip
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    print(result.forecast() if options.dry_run else result)
    if options.csv:
        result.to_csv(options.csv)
    elif not options.dry_run:
        print("The table of all cells: --csv FILE.")
    if any(row.get("outcome") == "VIOLATED" for row in result.table()):
        return 1
    return 3 if result.failed() else 0


def _extract(options: argparse.Namespace) -> int:
    phi = config.load(options.file)
    try:
        if options.engine == "fast":
            phi = phi.rebuilt(engine="fast", dtype=None)
        made = sweeps.extract(
            phi, options.data, options.store, executor=options.executor, dtype=options.dtype, chunk=options.chunk,
            dry_run=options.dry_run,
        )  # fmt: skip
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    print(made)
    return 0


def _told(done: int, total: int, name: str) -> None:
    """Progress on a terminal."""
    if sys.stderr.isatty():
        print(
            f"\r{done} of {total} checks: {name}".ljust(78),
            end="\n" if done == total else "",
            file=sys.stderr,
            flush=True,
        )


def _list(options: argparse.Namespace) -> int:
    if options.what == "claims":
        rows = list(verify.CLAIMS.items())
    else:
        kind = {"frames": "frame", "nonlinearities": "nonlinearity", "poolings": "pooling"}[options.what]
        rows = [(_signature(name, cls), _first_line(cls)) for name, cls in config.kinds(kind).items()]
    width = max(len(name) for name, _ in rows) if options.what == "claims" else 0
    for name, text in rows:
        print(f"{name.ljust(width)}  {text}" if width else f"{name}\n    {text}")
    return 0


def _signature(name: str, cls: type) -> str:
    """Name with the arguments and their defaults, without annotations."""
    parts = []
    for parameter in inspect.signature(cls).parameters.values():
        free = parameter.default is inspect.Parameter.empty
        parts.append(parameter.name if free else f"{parameter.name}={parameter.default!r}")
    return f"{name}({', '.join(parts)})"


def _first_line(cls: type) -> str:
    return inspect.getdoc(cls).splitlines()[0]


def _show(options: argparse.Namespace) -> int:
    print(THEOREMS[_THEOREM_OF.get(options.name, options.name)])
    return 0
