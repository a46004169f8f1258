"""What the extractor does with inputs it should not get, or gets rarely: a clear refusal, or the right answer."""

import copy
import math
import threading

import numpy as np
import pytest
import torch

import scatter_theory as st

GRIDS = [st.Grid.line(16), st.Grid.of((6, 8)), st.Grid.of((4, 6, 5))]


def extractor(grid, nonlinearity=None, **options):
    layer = st.Layer(st.frames.Wavelets(J=1), nonlinearity or st.Modulus(), st.Subsample(2))
    return st.FeatureExtractor([layer] * 2, grid, **options)


def draw(grid, batch=(), seed=0, dtype=torch.float64):
    return torch.randn(*batch, *grid.shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


ENTRANCES = {
    "forward": lambda phi, f: phi(f),
    "walk": lambda phi, f: list(phi.walk(f)),
    "propagate": lambda phi, f: phi.propagate(f, (0,)),
    "prepare": lambda phi, f: phi.prepare(f),
}
entrances = pytest.mark.parametrize("enter", ENTRANCES.values(), ids=ENTRANCES.keys())


# --- refused ---------------------------------------------------------------------------------------------------------


@entrances
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_nan_and_infinity_are_named_with_their_index(grid, value, enter):
    f = draw(grid, (3,))
    index = (1, *(n - 1 for n in grid.shape))
    f[index] = value
    later = (2, *(0 for _ in grid.shape))
    f[later] = value
    for signal in (f, f.numpy()):
        with pytest.raises(ValueError) as caught:
            enter(extractor(grid), signal)
        assert str(caught.value) == f"`f`: entry {index} is {value}; all entries must be finite."


@entrances
def test_nan_in_an_imaginary_part(enter):
    grid = st.Grid.line(8)
    f = draw(grid, dtype=torch.complex128)
    f[3] = complex(1.0, math.nan)
    with pytest.raises(ValueError, match=r"entry \(3,\)"):
        enter(extractor(grid, complex_input=True), f)


@entrances
@pytest.mark.parametrize(
    "dtype",
    [torch.bool, torch.uint8, torch.int16, torch.int64, torch.float16, torch.bfloat16],
    ids=str,
)
def test_dtypes_that_lose_digits_are_refused(dtype, enter):
    with pytest.raises(TypeError, match=rf"`f`: got dtype {dtype}, expected float32.*`f.double\(\)`"):
        enter(extractor(st.Grid.line(8)), torch.zeros(8).to(dtype))


@pytest.mark.parametrize("dtype", [bool, np.int32, np.float16, np.longdouble, np.clongdouble, object, "U1", "M8[s]"])
def test_numpy_dtypes_that_lose_digits_are_refused(dtype):
    with pytest.raises(TypeError, match=r"`f`: got .*expected float32, float64, complex64 or complex128"):
        extractor(st.Grid.line(8))(np.zeros(8, dtype=dtype))


@entrances
@pytest.mark.parametrize("f", [[0.0] * 8, (0.0,) * 8, 1.0, None, "signal", {"f": 1}], ids=repr)
def test_other_objects_are_refused(f, enter):
    with pytest.raises(TypeError, match=rf"`f`: got {type(f).__name__}, expected a torch tensor or a numpy array"):
        enter(extractor(st.Grid.line(8)), f)


@entrances
@pytest.mark.parametrize("shape", [(), (0,), (15,), (17,), (16, 1), (1, 1, 15), (3, 0)], ids=str)
def test_shapes_that_do_not_fit_are_refused(shape, enter):
    expected = rf"`f`: got shape {str(shape).translate({40: '[(]', 41: '[)]'})}, expected \(\*batch, 16\)"
    with pytest.raises(ValueError, match=expected):
        enter(extractor(st.Grid.line(16)), torch.zeros(shape, dtype=torch.float64))


@entrances
def test_shapes_of_images_are_refused(enter):
    with pytest.raises(ValueError, match=r"got shape \(8, 6\), expected \(\*batch, 6, 8\) for Grid\(shape=\(6, 8\)"):
        enter(extractor(st.Grid.of((6, 8))), torch.zeros(8, 6, dtype=torch.float64))


@entrances
def test_complex_signals_need_an_extractor_for_them(enter):
    with pytest.raises(ValueError, match=r"`f`: got complex values.*`complex_input=True`"):
        enter(extractor(st.Grid.line(8)), torch.zeros(8, dtype=torch.complex64))


@entrances
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_more_digits_than_the_extractor_has_are_refused(dtype, enter):
    phi = extractor(st.Grid.line(8), dtype=torch.float32, complex_input=True)
    with pytest.raises(TypeError, match=r"`f`: got .*computes in torch.float32, which would lose digits.*double\(\)"):
        enter(phi, torch.zeros(8, dtype=dtype))


@entrances
def test_another_device_is_refused(enter):
    grid = st.Grid.line(8)
    with pytest.raises(ValueError, match=r"`f`: on device meta, but the extractor is on cpu"):
        enter(extractor(grid), torch.zeros(8, dtype=torch.float64, device="meta"))
    with pytest.raises(ValueError, match=r"`f`: on device cpu, but the extractor is on meta"):
        enter(extractor(grid).to("meta"), torch.zeros(8, dtype=torch.float64))


@pytest.mark.parametrize(
    ("path", "message"),
    [((9,), "entry 0 is not an atom of layer 1"), ((0, 0, 0), "entry 2"), ((-1,), "entry 0"), ((0, 99), "entry 1")],
)
def test_paths_that_do_not_exist_are_refused(path, message):
    grid = st.Grid.line(8)
    with pytest.raises(ValueError, match=message):
        extractor(grid).propagate(draw(grid), path)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"layers": []}, TypeError, r"`FeatureExtractor\(layers=...\)`.*non-empty list"),
        ({"layers": st.Layer(st.frames.Wavelets(J=1))}, TypeError, r"`FeatureExtractor\(layers=...\)`"),
        ({"layers": [st.frames.Wavelets(J=1)]}, TypeError, r"`Layer` instances"),
        ({"grid": (16,)}, TypeError, r"`FeatureExtractor\(grid=...\)`.*Grid"),
        ({"paths": "all"}, TypeError, r"`FeatureExtractor\(paths=...\)`"),
        ({"paths": st.AllPaths}, TypeError, r"`FeatureExtractor\(paths=...\)`"),
        ({"final": 3}, TypeError, r"`FeatureExtractor\(final=...\)`"),
        ({"reference": 16}, TypeError, r"`FeatureExtractor\(reference=...\)`"),
        ({"reference": st.Grid.square(16)}, ValueError, r"`FeatureExtractor\(reference=...\)`.*1"),
        ({"dtype": torch.float16}, TypeError, r"`FeatureExtractor\(dtype=...\)`"),
        ({"dtype": torch.complex128}, TypeError, r"`FeatureExtractor\(dtype=...\)`"),
        ({"sampling": "sample"}, ValueError, r"'dilate' or 'decimate'"),
    ],
)
def test_constructor_arguments_are_checked(change, error, message):
    arguments = {"layers": [st.Layer(st.frames.Wavelets(J=1))], "grid": st.Grid.line(16)}
    with pytest.raises(error, match=message):
        st.FeatureExtractor(**(arguments | change))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frame": st.frames.Wavelets}, r"`Layer\(frame=...\)`.*did you forget the parentheses"),
        ({"nonlinearity": torch.relu}, r"`Layer\(nonlinearity=...\)`"),
        ({"nonlinearity": st.Modulus}, r"forget the parentheses"),
        ({"pooling": 2}, r"`Layer\(pooling=...\)`: got 2 of type int, expected a Pooling"),
    ],
)
def test_layers_are_checked(arguments, message):
    with pytest.raises(TypeError, match=message):
        st.Layer(**({"frame": st.frames.Wavelets(J=1)} | arguments))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda: st.MaximumCount(0), r"`MaximumCount\(count=...\)`"),
        (lambda: st.MaximumCount(2.5), r"`MaximumCount\(count=...\)`"),
        (lambda: st.MaximumCount(True), r"`MaximumCount\(count=...\)`"),
        (lambda: st.EnergyThreshold(1.0), r"`EnergyThreshold\(fraction=...\)`"),
        (lambda: st.EnergyThreshold(math.nan), r"`EnergyThreshold\(fraction=...\)`"),
        (lambda: st.EnergyThreshold(-0.1), r"`EnergyThreshold\(fraction=...\)`"),
    ],
)
def test_path_rules_are_checked(rule, message):
    with pytest.raises(ValueError, match=message):
        rule()


@pytest.mark.parametrize("shape", [(16,), (24,), (8, 16), (6, 6, 9)], ids=str)
def test_too_large_scales_are_refused_with_the_largest_admissible_one(shape):
    """And that one is accepted, and its low-pass holds more than the mean."""
    grid = st.Grid.of(shape)
    with pytest.raises(ValueError, match=r"J=40.*the largest admissible J is \d+") as caught:
        st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=40))], grid)
    J = int(str(caught.value).split("the largest admissible J is ")[1].split(".")[0])
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=J))], grid)
    assert int((phi.banks[0].output.abs() > 0).sum()) > 1
    with pytest.raises(ValueError, match="largest admissible"):
        st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=J + 1))], grid)


# --- accepted --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [st.AllPaths(), st.MaximumCount(2), st.EnergyThreshold(0.1)], ids=repr)
@pytest.mark.parametrize("batch", [(0,), (2, 0), (0, 3)], ids=str)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_empty_batches_give_empty_features(grid, batch, rule):
    phi = extractor(grid, paths=rule)
    features = phi(torch.zeros(*batch, *grid.shape, dtype=torch.float64))
    assert features.energy().shape == features.pruned.shape == features.remainder[2].shape == batch
    assert features.layers[0].values.shape == (*batch, 1, *grid.shape)
    assert features.flatten().numel() == 0
    assert features.distance(features).shape == batch
    assert phi.propagate(torch.zeros(*batch, *grid.shape, dtype=torch.float64), (0,)).shape[: len(batch)] == batch


@pytest.mark.parametrize("rule", [st.AllPaths(), st.MaximumCount(2), st.EnergyThreshold(0.1)], ids=repr)
@pytest.mark.parametrize("rho", [st.Modulus(), st.Tanh(), st.GELU(), st.PhaseReLU()], ids=repr)
def test_zero_signal_gives_zero_features(rho, rule):
    grid = st.Grid.of((6, 8))
    features = extractor(grid, rho, paths=rule)(torch.zeros(2, *grid.shape, dtype=torch.float64))
    assert float(features.flatten().abs().sum()) == 0 == float(features.pruned.sum())
    assert features.norm().tolist() == [0, 0]


def test_zero_signal_shows_a_map_that_does_not_fix_zero():
    """The unshifted sigmoid: its constant map sigmoid(0) = 1/2 reaches the features."""
    rho = st.Pointwise(torch.sigmoid, 0.25)
    grid = st.Grid.line(16)
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=1, sided="real"), rho)], grid)
    features = phi(torch.zeros(16, dtype=torch.float64))
    assert features.layers[1].values.flatten().tolist() == pytest.approx([0.5] * features.layers[1].values.numel())


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64], ids=str)
@pytest.mark.parametrize("rule", [st.AllPaths(), st.EnergyThreshold(0.05)], ids=repr)
def test_scale_does_not_matter(scale, dtype, rule):
    """A homogeneous network: features scale with the signal, energies with its square, the chosen paths not at all."""
    grid = st.Grid.line(16)
    precision = torch.float64 if dtype == torch.float64 else torch.float32
    phi = extractor(grid, st.ReLU(), dtype=precision, complex_input=dtype.is_complex, paths=rule)
    f = draw(grid, (3,), dtype=dtype)
    one, other = phi(f), phi(f * scale)
    rel = 1e-12 if dtype == torch.float64 else 1e-5
    assert one.paths == other.paths
    assert torch.allclose(other.energy("layer") / scale**2, one.energy("layer"), rtol=rel, atol=0)
    assert torch.allclose(other.pruned / scale**2, one.pruned, rtol=rel, atol=1e-30)
    reversed_ = phi.frozen(one)(f.flip(0))
    scaled = phi.frozen(one)(f.flip(0) * scale)
    assert torch.allclose(other.distance(scaled) / scale, one.distance(reversed_), rtol=rel, atol=0)


@pytest.mark.parametrize("N", [1, 2, 3, 4, 5, 7, 8, 13, 31, 33])
def test_every_length_works(N):
    """Odd, even, prime and tiny lengths: the energy identity holds from one sample on."""
    grid = st.Grid.line(N)
    f = draw(grid, (3,))
    features = extractor(grid)(f)
    assert torch.allclose(features.energy() + features.residual_energy, grid.energy(f), rtol=1e-13, atol=0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 8), (2, 3), (7, 5), (13, 4), (1, 2, 3), (3, 3, 3), (5, 2, 4)], ids=str)
def test_every_shape_works(shape):
    grid = st.Grid.of(shape)
    f = draw(grid, (2,))
    features = extractor(grid)(f)
    assert torch.allclose(features.energy() + features.residual_energy, grid.energy(f), rtol=1e-13, atol=0)


def test_numpy_gives_tensors_and_shares_nothing_that_is_written():
    grid = st.Grid.line(16)
    array = draw(grid, (2,)).numpy()
    before, features = array.copy(), extractor(grid)(array)
    assert isinstance(features.flatten(), torch.Tensor) and np.array_equal(array, before)
    for step in extractor(grid).walk(array):
        step.S.zero_()
    assert np.array_equal(array, before)


@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (1, 2, 1, 2)], ids=str)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_batch_axes_of_any_number(grid, batch):
    phi, f = extractor(grid), draw(grid, batch)
    features = phi(f)
    assert features.energy().shape == batch
    single = phi(f.reshape(-1, *grid.shape)[-1])
    last = features.layers[2].values.reshape(-1, *features.layers[2].values.shape[len(batch) :])[-1]
    assert float((last - single.layers[2].values).abs().max()) <= 1e-15


def test_lower_precision_is_raised_without_loss():
    grid = st.Grid.line(16)
    f = draw(grid, dtype=torch.float32)
    phi = extractor(grid, complex_input=True)
    exact = phi(f.double())
    assert float(phi(f).distance(exact)) == 0
    assert float(phi(f.to(torch.complex64)).distance(exact)) <= 1e-15


# --- beside autograd and threads -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")  # of torch's own forward mode
def test_vmap_jacobians_and_compilation_agree_with_the_loop():
    grid = st.Grid.line(12)
    phi, f = extractor(grid, st.Tanh()), draw(grid, (3,))
    energy = phi(f).energy("path")
    assert torch.allclose(torch.func.vmap(lambda x: phi(x).energy("path"))(f), energy, rtol=1e-13)
    real = extractor(grid, st.SiLU())
    flat = lambda x: torch.view_as_real(real(x).flatten() + 0j)  # noqa: E731
    forward, backward = torch.func.jacfwd(flat)(f[0]), torch.func.jacrev(flat)(f[0])
    assert torch.allclose(forward, backward, rtol=0, atol=1e-13)
    compiled = torch.compile(lambda x: phi(x).energy("path"), backend="eager", fullgraph=True)
    assert torch.allclose(compiled(f), energy, rtol=1e-13)


def test_threads_share_an_extractor():
    grid = st.Grid.line(32)
    phi = extractor(grid)
    signals = [draw(grid, (2,), seed) for seed in range(6)]
    expected, found = [phi(f).flatten() for f in signals], {}
    threads = [threading.Thread(target=lambda i=i: found.update({i: phi(signals[i]).flatten()})) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(found[i], expected[i]) for i in range(6))


def test_nothing_global_changes():
    """Random state, default dtype and gradient mode are as before; a copy of the extractor is independent."""
    grid, state = st.Grid.line(16), torch.get_rng_state()
    phi = extractor(grid, paths=st.MaximumCount(2))
    features = phi(draw(grid))
    copy.deepcopy(phi).float()
    assert torch.equal(torch.get_rng_state(), state) and torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled() and phi.dtype == torch.float64
    assert float(phi(draw(grid)).distance(features)) == 0


def test_default_dtype_of_the_user_is_ignored():
    grid = st.Grid.line(16)
    expected = extractor(grid)(draw(grid))
    before = torch.get_default_dtype()
    try:
        for dtype in (torch.float64, torch.float32, torch.float16):
            torch.set_default_dtype(dtype)
            assert float(extractor(grid)(draw(grid)).distance(expected)) == 0
    finally:
        torch.set_default_dtype(before)


def test_finiteness_check_can_be_left_out():
    grid = st.Grid.line(16)
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=2))], grid)
    f = torch.zeros(16, dtype=torch.float64)
    f[3] = math.nan
    with pytest.raises(ValueError, match=r"`f`: entry \(3,\) is nan"):
        phi(f)
    assert phi(f, check_finite=False).flatten().isnan().any()


@pytest.mark.filterwarnings("error")
def test_a_network_that_is_not_admissible_warns_and_names_the_layer():
    grid, layer = st.Grid.line(32), st.Layer(st.frames.Wavelets(J=2))
    st.FeatureExtractor([layer, layer], grid)
    loud = st.Layer(st.frames.Wavelets(J=2).scaled(1.5))
    with pytest.warns(st.AdmissibilityWarning, match=r"= 2\.25 > 1 in layer 2.*grow by up to 1\.5"):
        st.FeatureExtractor([layer, loud], grid, final=st.frames.Wavelets(J=2))
    with pytest.warns(st.AdmissibilityWarning, match="the final output atom"):
        st.FeatureExtractor([layer], grid, final=st.frames.Wavelets(J=2).scaled(1.5))
    st.FeatureExtractor([layer, loud.normalised()], grid)


# --- arguments of verifiers, as people guess them --------------------------------------------------------------------

GUESSES = {
    "effort by name": (lambda phi, f: st.verify.translation(phi, f, effort="quick"), TypeError, "expected an Effort"),
    "effort of a class": (
        lambda phi, f: st.verify.deformation(phi, st.signals.BandLimited(radius=0.1), effort=3),
        TypeError, "expected an Effort",
    ),
    "effort of a suite": (lambda phi, f: st.verify.suite(phi, f, effort={}), TypeError, "expected an Effort"),
    "one shift": (lambda phi, f: st.verify.translation(phi, f, shifts=1), TypeError, r"list of shifts .* \[1, 4\]"),
    "one shift of NumPy": (
        lambda phi, f: st.verify.translation(phi, f, shifts=np.int64(1)), TypeError, r"list of shifts .* \[1, 4\]",
    ),
    "one shift of covariance": (
        lambda phi, f: st.verify.covariance(phi, f, shifts=1), TypeError, r"`covariance.* expected a list of shifts",
    ),
    "effort of a frame": (lambda phi, f: st.verify.frame(phi.banks[0], effort=3), TypeError, "expected an Effort"),
    "effort of a function": (
        lambda phi, f: st.verify.nonlinearity(st.ReLU(), effort=3), TypeError, "expected an Effort",
    ),
    "effort of a pooling": (
        lambda phi, f: st.verify.pooling(st.Subsample(2), phi.grid, effort=3), TypeError, "expected an Effort",
    ),
    "one size of a rate": (
        lambda phi, f: st.verify.deformation_rate(phi, st.signals.BandLimited(radius=0.1), sup_tau=0.01),
        ValueError, "got 0.01, expected a list",
    ),
    "one size": (
        lambda phi, f: st.verify.deformation(phi, st.signals.BandLimited(radius=0.1), sup_tau=0.01),
        ValueError, "got 0.01, expected a list",
    ),
    "several sizes": (
        lambda phi, f: st.certify_deformation(phi, f, st.deform.Translations(), sup_tau=[0.1, 1.0]),
        TypeError, "expected one number",
    ),
    "one claim": (lambda phi, f: st.verify.suite(phi, f, claims="translation"), TypeError, r"\['translation'\]"),
    "a function of torch": (lambda phi, f: st.Layer(st.frames.Wavelets(J=2), torch.relu), TypeError, "`Pointwise"),
    "a factor": (lambda phi, f: st.Layer(st.frames.Wavelets(J=2), pooling=2), TypeError, r"`Subsample\(2\)`"),
    "a name of a frame": (lambda phi, f: st.Layer("Wavelets"), TypeError, r"`frames\.Filters`"),
}  # fmt: skip


@pytest.mark.parametrize("guess", GUESSES.values(), ids=GUESSES.keys())
def test_a_wrong_guess_is_told_what_to_write(guess):
    call, error, text = guess
    grid = st.Grid.line(16)
    with pytest.raises(error, match=text):
        call(extractor(grid), draw(grid))
