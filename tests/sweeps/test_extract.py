"""Extraction: the features of the engine, chunk by chunk, from every source, resumed and checked."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from fashion_files import write_fashion

import scatter_theory as st
from scatter_theory.sweeps import StoreError
from scatter_theory.sweeps import _extract as extract_module

zarr = pytest.importorskip("zarr")
LAYER = st.Layer(st.frames.Wavelets(J=2), st.Modulus(), st.Subsample(2))
ROOT = Path(__file__).parents[2]


def extractor(grid=None, **options):
    return st.FeatureExtractor([LAYER, LAYER], grid if grid is not None else st.Grid.line(16), **options)


def noise(count=10, shape=(16,), seed=0):
    return np.random.default_rng(seed).standard_normal((count, *shape))


def extracted(phi, data, path, **options):
    return st.extract(phi, data, path, progress=False, **options)


def arrays(path):
    group = zarr.open_group(path, mode="r")
    return {name: np.asarray(array[:]) for name, array in group.arrays()}


def expected(phi, signals, dtype="float32"):
    with torch.no_grad():
        features = phi(torch.as_tensor(signals))
    kinds = {"float32": {False: "float32", True: "complex64"}, "float64": {False: "float64", True: "complex128"}}
    cast = kinds.get(dtype, {False: dtype})
    return [layer.values.numpy().astype(cast[layer.values.is_complex()]) for layer in features]


def agrees(path, phi, signals, dtype="float32"):
    found, wanted = arrays(path), expected(phi, signals, dtype)
    return all(np.array_equal(found[f"layer_{n}"], values) for n, values in enumerate(wanted))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("chunk", [1, 4, 10, 99])
def test_values_are_those_of_the_engine(tmp_path, dtype, chunk):
    phi, f = extractor(), noise()
    made = extracted(phi, f, tmp_path / "a.zarr", dtype=dtype, chunk=chunk)
    assert agrees(made.path, phi, f, dtype)
    assert made.complete and made.computed == -(-10 // min(chunk, 10)) and made.reused == 0
    values = [a for name, a in arrays(made.path).items() if name.startswith("layer")]
    assert made.layout.nbytes == sum(a.nbytes for a in values)


def test_the_fast_engine_and_complex_features(tmp_path):
    fast = extractor(st.Grid.square(16), engine="fast")
    f = noise(5, (16, 16)).astype(np.float32)
    extracted(fast, f, tmp_path / "fast.zarr", chunk=2)
    # In single precision the fast engine rounds differently in batches of other sizes.
    parts = [expected(fast, f[i : i + 2]) for i in (0, 2, 4)]
    found = arrays(tmp_path / "fast.zarr")
    for n, values in enumerate(zip(*parts, strict=True)):
        assert np.array_equal(found[f"layer_{n}"], np.concatenate(values))
    phi, g = extractor(complex_input=True), noise() + 1j * noise(seed=1)
    extracted(phi, g, tmp_path / "complex.zarr", dtype="float64")
    assert agrees(tmp_path / "complex.zarr", phi, g, "float64")
    assert arrays(tmp_path / "complex.zarr")["layer_0"].dtype == complex
    with pytest.raises(ValueError, match="features are complex"):
        extracted(phi, g, tmp_path / "half.zarr", dtype="float16")


def test_the_table_of_paths_and_the_origin_are_there(tmp_path):
    phi, f = extractor(), noise()
    group = extracted(phi, f, tmp_path / "a.zarr").open()
    features = phi(torch.from_numpy(f))
    for layer, table in zip(features, group.attrs["layers"], strict=True):
        assert [tuple(p) for p in table["paths"]] == [tuple(p) for p in layer.paths]
        assert [tuple(s) for s in table["scales"]] == list(layer.scales)
        assert table["labels"] == [[phi.banks[k].atoms[i].label for k, i in enumerate(p)] for p in layer.paths]
        assert tuple(table["grid"]["shape"]) == layer.grid.shape
        assert group[f"layer_{layer.n}"].metadata.dimension_names == ("signal", "path", "axis_0")
    origin = group.attrs["provenance"]
    assert origin["source"]["signals"] == 10 and origin["versions"]["torch"] == torch.__version__
    assert group.metadata.zarr_format == 3


# --- sources ---------------------------------------------------------------------------------------------------------


class Pairs(torch.utils.data.Dataset):
    def __init__(self, values, labels=None):
        self.values, self.labels = values, labels

    def __len__(self):
        return len(self.values)

    def __getitem__(self, i):
        value = torch.from_numpy(self.values[i])
        return value if self.labels is None else (value, int(self.labels[i]))


def test_sources_give_the_same_features(tmp_path):
    phi, f = extractor(), noise()
    np.save(tmp_path / "all.npy", f)
    folder = tmp_path / "folder"
    folder.mkdir()
    for i, signal_ in enumerate(f):
        np.save(folder / f"{i:02d}.npy", signal_)
    (folder / "readme.txt").write_text("no signal")
    sources = {
        "tensor": torch.from_numpy(f), "map": np.load(tmp_path / "all.npy", "r"), "file": tmp_path / "all.npy",
        "folder": folder, "pattern": str(folder / "0*.npy"), "set": Pairs(f), "pairs": Pairs(f, range(10)),
    }  # fmt: skip
    for name, data in sources.items():
        made = extracted(phi, data, tmp_path / f"{name}.zarr", chunk=4)
        assert agrees(made.path, phi, f), name
    found = arrays(tmp_path / "folder.zarr")
    assert bytes(found["names"]).decode().split("\n") == [f"{i:02d}.npy" for i in range(10)]
    assert list(arrays(tmp_path / "pairs.zarr")["labels"]) == list(range(10))
    kinds = {name: zarr.open_group(tmp_path / f"{name}.zarr").attrs["provenance"]["source"]["kind"] for name in sources}
    assert kinds == {
        "tensor": "array", "map": "memory map", "file": "memory map", "folder": "files", "pattern": "files",
        "set": "data set", "pairs": "data set",
    }  # fmt: skip


def test_images_of_idx_files_come_with_their_labels(tmp_path):
    write_fashion(tmp_path)
    phi = extractor(st.Grid.square(28), engine="fast")
    made = extracted(phi, tmp_path / "t10k-images-idx3-ubyte.gz", tmp_path / "a.zarr", chunk=16)
    images = np.zeros((40, 28, 28), np.float32)
    for i in range(40):
        images[i, 2 * (i % 10) : 2 * (i % 10) + 4] = 100 + i
    for n, values in enumerate(expected(phi, images)):
        np.testing.assert_allclose(arrays(made.path)[f"layer_{n}"], values, rtol=1e-4, atol=1e-4)
    assert list(arrays(made.path)["labels"]) == [i % 10 for i in range(40)]


@pytest.mark.parametrize(
    ("data", "kind", "says"),
    [
        (noise(3, (15,)), ValueError, "signals of shape"),
        (noise(3, (1, 16)), ValueError, "without axes for channels"),
        (np.zeros((0, 16)), ValueError, "no signal"),
        (noise().astype(np.int64), TypeError, "cannot hold without loss"),
        (noise() + 1j, TypeError, "complex_input"),
        (noise() > 0, TypeError, "type bool"),
        ("none/*.npy", FileNotFoundError, "no pattern"),
        ([1, 2], TypeError, "got list"),
    ],
    ids=["shape", "channel", "empty", "int64", "complex", "bool", "missing", "list"],
)
def test_wrong_data_are_refused(tmp_path, data, kind, says):
    with pytest.raises(kind, match=says):
        extracted(extractor(), data, tmp_path / "a.zarr")
    assert not (tmp_path / "a.zarr").exists()


class Odd(Pairs):
    """Entries of a data set that cannot be stored."""

    def __init__(self, *entries):
        self.entries = entries

    def __len__(self):
        return len(self.entries)

    def __getitem__(self, i):
        return self.entries[i]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (Odd((np.zeros(16), 0.5), (np.zeros(16), 1.0)), "whole numbers"),
        (Odd((np.zeros(16), [1, 2]), (np.zeros(16), [1, 2])), "whole numbers"),
        (Odd((np.zeros(16), 1), np.zeros(16)), "throughout"),
        (Odd((np.zeros(16), 1, 2)), "throughout"),
    ],
    ids=["fractions", "lists", "some", "three"],
)
def test_wrong_labels_are_refused(tmp_path, data, says):
    with pytest.raises(TypeError, match=says):
        extracted(extractor(), data, tmp_path / "a.zarr", chunk=2)


def test_only_exact_conversions_are_made(tmp_path):
    single, double = extractor(dtype=torch.float32), extractor()
    both, one, none = (True, True), (False, True), (False, False)
    kinds = {
        "uint8": both,
        "int16": both,
        "float16": both,
        "float32": both,
        "int32": one,
        "float64": one,
        "int64": none,
    }
    for dtype, fits in kinds.items():
        for phi, fit in zip((single, double), fits, strict=True):
            data = (10 * noise()).astype(dtype)
            path = tmp_path / f"{dtype}{phi.dtype}.zarr"
            if fit:
                extracted(phi, data, path, dtype="float64")
                assert agrees(path, phi, data.astype(str(phi.dtype).removeprefix("torch.")), "float64")
            else:
                with pytest.raises(TypeError, match="without loss"):
                    extracted(phi, data, path)


def test_bad_values_are_found_and_named(tmp_path):
    f = noise()
    f[7, 3] = np.nan
    with pytest.raises(ValueError, match="signal 7 has NaN"):
        extracted(extractor(), f, tmp_path / "a.zarr", chunk=4)
    with pytest.raises(ValueError, match="beyond the range"):
        extracted(extractor(), 1e6 * noise(), tmp_path / "b.zarr", dtype="float16")
    f[7, 3] = 0.0
    assert extracted(extractor(), 1e6 * noise(), tmp_path / "c.zarr", dtype="float32").complete


def test_arguments_are_checked(tmp_path):
    phi = extractor()
    energy = phi.rebuilt(paths=st.EnergyThreshold(0.1))
    for options, says in (
        ({"dtype": "int8"}, "expected one of"), ({"chunk": 0}, "whole number"), ({"chunk": 2.0}, "whole number"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            extracted(phi, noise(), tmp_path / "a.zarr", **options)
    with pytest.raises(ValueError, match="freeze"):
        extracted(energy, noise(), tmp_path / "a.zarr")
    with pytest.raises(TypeError, match="FeatureExtractor"):
        extracted(torch.nn.Identity(), noise(), tmp_path / "a.zarr")


# --- going on --------------------------------------------------------------------------------------------------------


def test_a_dry_run_writes_nothing(tmp_path):
    made = extracted(extractor(), noise(), tmp_path / "a.zarr", chunk=4, dry_run=True)
    assert not made.path.exists() and not made.complete and "3 chunks of 4" in str(made)
    assert made.layout.nbytes == 4 * sum(v.size for v in expected(extractor(), noise()))


def test_finished_chunks_stay_and_damaged_ones_are_made_again(tmp_path, monkeypatch):
    phi, f, path = extractor(), noise(), tmp_path / "a.zarr"
    original, made = extract_module.compute, []

    def stops(job, start, signals):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(start)
        return original(job, start, signals)

    monkeypatch.setattr(extract_module, "compute", stops)
    with pytest.raises(KeyboardInterrupt):
        extracted(phi, f, path, chunk=2)
    monkeypatch.undo()
    partial = arrays(path)
    assert (partial["checksums"][:2] >= 0).all() and (partial["checksums"][2:] == -1).all()
    result = extracted(phi, f, path, chunk=2)
    assert (result.reused, result.computed) == (2, 3) and agrees(path, phi, f)
    (path / "layer_1" / "c" / "3").rename(tmp_path / "away")
    leftover = path / "layer_0" / "c" / "0" / "0.abc.partial"
    leftover.parent.mkdir(exist_ok=True, parents=True)
    leftover.touch()
    group = zarr.open_group(path, mode="r+")
    group["layer_2"][0:1] = 0.0
    result = extracted(phi, f, path, chunk=2)
    assert (result.reused, result.computed) == (3, 2) and agrees(path, phi, f) and not leftover.exists()


@pytest.mark.parametrize("name", ["layer_1", "checksums"])
@pytest.mark.parametrize("length", [0, 3, 8])
def test_chunks_that_were_cut_off_are_made_again(tmp_path, name, length):
    """A disk that ran full, or a copy that was interrupted, leaves files with a part of their numbers, or of one."""
    phi, f, path = extractor(), noise(), tmp_path / "a.zarr"
    extracted(phi, f, path, chunk=2)
    (chunk,) = (file for file in [path / name / "c" / "1", *(path / name / "c" / "1").rglob("*")] if file.is_file())
    with chunk.open("r+b") as file:
        file.truncate(length)
    result = extracted(phi, f, path, chunk=2)
    assert result.computed == 1 and agrees(path, phi, f)


def test_a_group_of_something_else_is_refused(tmp_path):
    phi, f, path = extractor(), noise(), tmp_path / "a.zarr"
    extracted(phi, f, path, chunk=4)
    before = arrays(path)
    other = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=2))] * 2, st.Grid.line(16))
    for changed, data, options, says in (
        (other, f, {"chunk": 4}, "extractor"), (phi, noise(seed=1), {"chunk": 4}, "source"),
        (phi, f, {"chunk": 5}, "chunk"), (phi, f, {"chunk": 4, "dtype": "float64"}, "dtype"),
        (phi, f, {"chunk": 4, "resume": False}, "exists"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            extracted(changed, data, path, **options)
    assert all(np.array_equal(before[name], values) for name, values in arrays(path).items())
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="no zarr group"):
        extracted(phi, f, tmp_path / "folder")
    zarr.create_group(tmp_path / "b.zarr")
    with pytest.raises(ValueError, match="layout None"):
        extracted(phi, f, tmp_path / "b.zarr")


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(extract_module, "mark", full)
    with pytest.raises(StoreError, match="make room"):
        extracted(extractor(), noise(), tmp_path / "a.zarr")
    monkeypatch.undo()
    assert extracted(extractor(), noise(), tmp_path / "a.zarr").complete


def test_an_executor_gives_the_same_and_leaves_no_file(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    phi, f = extractor(), noise()
    with ThreadPoolExecutor(2) as pool:
        extracted(phi, Pairs(f, range(10)), tmp_path / "a.zarr", chunk=2, executor=pool)
    assert agrees(tmp_path / "a.zarr", phi, f) and list(arrays(tmp_path / "a.zarr")["labels"]) == list(range(10))
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


SCRIPT = """
import sys
import numpy as np, scatter_theory as st
if __name__ == "__main__":
    layer = st.Layer(st.frames.Wavelets(J=2), st.Modulus(), st.Subsample(2))
    phi = st.FeatureExtractor([layer, layer], st.Grid.square(28), engine="fast")
    executor = int(sys.argv[2]) or None
    st.extract(phi, "images.npy", sys.argv[1], chunk=20, executor=executor, progress=False)
"""


@pytest.mark.slow
@pytest.mark.parametrize("executor", [0, 2])
def test_ten_kills_in_ten_thousand_images(tmp_path, executor):
    images = noise(10_000, (28, 28)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    path, draw, before = tmp_path / "a.zarr", random.Random(3), 0

    def finished():
        return int((zarr.open_group(path, mode="r")["checksums"][:] >= 0).all(1).sum()) if path.exists() else 0

    for _ in range(10):
        command = [sys.executable, "script.py", "a.zarr", str(executor)]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment)
        wanted = before + draw.randrange(1, 8)
        while process.poll() is None and finished() < wanted:
            time.sleep(0.005)
        time.sleep(0.02 * draw.random())
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert finished() >= before
        before = finished()
    assert 10 <= before < 500
    phi = extractor(st.Grid.square(28), engine="fast")
    resumed = extracted(phi, tmp_path / "images.npy", path, chunk=20)
    assert resumed.reused == before and resumed.complete
    extracted(phi, tmp_path / "images.npy", tmp_path / "b.zarr", chunk=20)
    one, other = arrays(path), arrays(tmp_path / "b.zarr")
    assert set(one) == set(other) and all(np.array_equal(one[name], other[name]) for name in one)


MEMORY = """
import sys, time
import numpy as np, torch
import scatter_theory as st
from scatter_theory.sweeps._sources import source_of

def megabytes(name):
    with open("/proc/self/status") as stream:
        return next(int(line.split()[1]) / 1024 for line in stream if line.startswith(name))

layer = st.Layer(st.frames.DirectionalWavelets(J=2))
phi = st.FeatureExtractor([layer, layer], st.Grid.square(28), engine="fast", paths=st.FrequencyDecreasing())
st.extract(phi, np.zeros((8, 28, 28), np.float32), "first.zarr", progress=False)
before = megabytes("VmRSS")
made = st.extract(phi, sys.argv[1], "a.zarr", progress=False)
above, ratios = megabytes("VmHWM") - before, []
images = source_of(sys.argv[1], phi.grid).values
for k in range(3):
    started = time.perf_counter()
    for i in range(0, len(images), made.layout.chunk):
        phi(torch.from_numpy(images[i : i + made.layout.chunk].astype(np.float32)))
    engine = time.perf_counter() - started
    ratios.append(engine / st.extract(phi, images, f"{k}.zarr", progress=False).seconds)
print(len(images), above, max(ratios))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_sixty_thousand_images_need_little_memory_and_time(tmp_path):
    """Beyond the model less than 1 GB, at 0.9 of the speed of the engine in memory; the best of three is judged."""
    data = Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")
    if not data.is_file():
        pytest.skip("Fashion-MNIST is not installed")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", MEMORY, str(data)]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stderr
    count, above, ratio = map(float, result.stdout.split())
    assert count == 60_000 and above < 1000 and ratio >= 0.9
