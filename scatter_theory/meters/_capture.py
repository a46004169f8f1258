"""Sees every call of an activation while a model runs, whether it is a module, a function or a method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from scatter_theory.meters._sites import Form, Kind, Site, form, may_overwrite, plain

Observer = Callable[[Site, Tensor, Tensor], None]


class Capture:
    """Calls an observer at every activation of a model, within a ``with`` block.

    Modules, functions, methods and forms in place all end in one function of torch each, which is what is seen: every
    call once. A stack of the running modules gives each call its place. Outputs are those of the model without the
    block, bit for bit, except that ``nn.TransformerEncoderLayer`` takes its unfused path, as torch does with any
    observer.

    Not seen are calls inside compiled or scripted code, which is refused; products such as ``x * (x > 0)`` and custom
    kernels, for which there is `sites`; and calls in other threads. Whether the second operand of ``maximum`` is 0 is
    looked up once per site, at its first call.

    Parameters
    ----------
    model : nn.Module
        Any model in any mode. Its calls count, from within or through any of its modules.
    observer : callable
        Called with the site, the tensor before the activation (see `inputs`) and the one after it. Torch's function
        modes are off while it runs. It must not change either tensor.
    sites : iterable of str
        Paths of modules whose output is after a ReLU that cannot be seen. What is called inside them does not count.
    kinds : tuple of {"relu", "smooth"}
        Which activations are observed. The others are counted in `others`.
    inputs : bool
        Whether the observer gets the tensor before the activation as it was before a call in place; otherwise it gets
        the input as it is after the call.

    Attributes
    ----------
    others : Counter
        Calls of activations that were not observed, by function.

    Raises
    ------
    ValueError
        If a path in `sites` is no module of the model, or a module is compiled or scripted.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from scatter_theory.meters import Capture
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> with Capture(net, lambda site, z, y: print(site.name, tuple(y.shape))):
    ...     _ = net(torch.zeros(3, 4))
    1/relu#1 (3, 8)
    """

    def __init__(
        self,
        model: nn.Module,
        observer: Observer,
        *,
        sites: Iterable[str] = (),
        kinds: tuple[Kind, ...] = ("relu",),
        inputs: bool = False,
    ) -> None:
        self._modules = dict(model.named_modules())
        self._model, self._observer, self._inputs = model, observer, inputs
        self._named = (sites,) if isinstance(sites, str) else tuple(sites)
        self._kinds = frozenset(kinds)
        if not self._kinds or not self._kinds <= {"relu", "smooth"}:
            raise ValueError(f"`Capture(kinds=...)`: got {kinds!r}, expected 'relu', 'smooth' or both, in a tuple.")
        for path in self._named:
            if path not in self._modules:
                raise ValueError(
                    f"`Capture(sites=...)`: got {path!r}, expected the path of a module of the {type(model).__name__}, "
                    "as `model.named_modules()` gives them."
                )
        _check_visible(self._modules)
        self.others: Counter[str] = Counter()
        self._stack: list[str] = []
        self._calls: Counter[tuple[str, str]] = Counter()
        self._operand: dict[tuple[str, int], int | None] = {}
        self._hidden = 0
        self._held = False
        self._handles: list[Any] = []
        self._mode = _Mode(self)

    def __enter__(self) -> Capture:
        """Put hooks and the function mode in place.

        Raises
        ------
        RuntimeError
            If they are in place already.
        """
        if self._handles:
            raise RuntimeError("`Capture`: got a second `with` block within the first; make another `Capture` for it.")
        for path, module in self._modules.items():
            if _is_quiet(module) and path not in self._named and module is not self._model:
                continue
            enter, leave = partial(self._enter, path), partial(self._leave, path)
            self._handles.append(module.register_forward_pre_hook(enter, prepend=True))
            self._handles.append(module.register_forward_hook(leave, always_call=True))
        self._mode.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        """Take them away."""
        self._mode.__exit__(*exception)
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._stack, self._hidden = [], 0

    @contextmanager
    def forward(self) -> Iterator[None]:
        """Everything inside counts as one forward pass, also several calls of the model or calls of its parts."""
        self._restart()
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _restart(self) -> None:
        self._calls.clear()
        self._stack, self._hidden = [], 0

    # --- the place of a call -----------------------------------------------------------------------------------------

    def _enter(self, path: str, module: nn.Module, args: Any) -> None:
        if not self._held and not self._stack and module is self._model:
            self._restart()
        self._stack.append(path)
        self._hidden += path in self._named

    def _leave(self, path: str, module: nn.Module, args: Any, output: Any) -> None:
        if not self._stack:
            return
        self._stack.pop()
        if path not in self._named:
            return
        self._hidden -= 1
        if self._hidden or output is None:  # torch calls this hook after an exception too, without an output
            return
        if not isinstance(output, Tensor):
            raise TypeError(
                f"`Capture(sites=...)`: module {path!r} returned {type(output).__name__}, expected a tensor; name the "
                "module inside it that returns the activations."
            )
        with torch._C.DisableTorchFunction():
            self._observer(self._site(path, Form("output")), output, output)

    def _site(self, path: str, form: Form) -> Site:
        self._calls[path, form.function] += 1
        name = f"{path}/{form.function}#{self._calls[path, form.function]}"
        return Site(name, path, form.function, form.low, form.high, form.kind)

    # --- the call ----------------------------------------------------------------------------------------------------

    def _called(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run a function of torch, and show it to the observer if it is an activation."""
        inside = not self._hidden and (self._stack or self._held)
        found = form(function, args, kwargs) if inside else None
        if found is None:
            return function(*args, **kwargs)
        path = self._stack[-1] if self._stack else ""
        z = args[0] if args else kwargs["input"]
        if found.operand is not None:
            z = self._cut_off(path, z, found.operand)
        if z is None or found.kind not in self._kinds:
            self.others[found.function] += z is not None
            return function(*args, **kwargs)
        if self._inputs and may_overwrite(function, args, kwargs):
            z = z.clone()
        y = function(*args, **kwargs)
        with torch._C.DisableTorchFunction():
            self._observer(self._site(path, found), z, y)
        return y

    def _cut_off(self, path: str, a: Tensor, b: Tensor) -> Tensor | None:
        """The operand of a maximum whose other one is 0; None if neither is."""
        self._calls[path, "operand"] += 1
        key = (path, self._calls[path, "operand"])
        if key not in self._operand:
            self._operand[key] = 0 if _is_zero(b) else 1 if _is_zero(a) else None
        which = self._operand[key]
        return None if which is None else (a, b)[which]


class _Mode(TorchFunctionMode):
    """Sends every function of torch to the capture."""

    def __init__(self, capture: Capture) -> None:
        super().__init__()
        self._capture = capture

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return self._capture._called(func, args, kwargs or {})


#: Files of torch whose modules call no activation, so that their place on the stack is never asked for.
_QUIET = frozenset(
    f"torch.nn.modules.{name}"
    for name in ("conv", "batchnorm", "linear", "pooling", "dropout", "normalization", "flatten", "padding", "sparse")
)


def _is_quiet(module: nn.Module) -> bool:
    return type(module).__module__ in _QUIET and not module._modules


def _is_zero(x: Tensor) -> bool:
    return not bool(plain(x.detach()).count_nonzero())


def _check_visible(modules: Mapping[str, nn.Module]) -> None:
    """Refuse modules whose calls cannot be seen."""
    for path, module in modules.items():
        if hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None:
            raise ValueError(
                f"`Capture(model=...)`: the module {path!r} is compiled, which hides its activations. Pass the model "
                "before it was compiled (`model._orig_mod` of what `torch.compile` gave)."
            )
        if isinstance(module, torch.jit.ScriptModule):
            raise ValueError(
                f"`Capture(model=...)`: the module {path!r} is scripted, which hides its activations. Pass the model "
                "before it was scripted."
            )
