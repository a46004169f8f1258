"""The recordings: what they are, that nothing is lost on the way, and what is said when they are missing."""

import sys

import numpy as np
import pytest

import scatter_theory as st


@pytest.mark.parametrize(
    ("load", "shape", "unit"), [(st.data.ecg, (1024,), "s"), (st.data.camera, (512, 512), "pixel")]
)
def test_recordings_are_the_files_of_pywavelets(load, shape, unit):
    import pywt.data

    recording = load()
    assert recording.values.dtype == np.float64 and recording.values.shape == recording.grid.shape == shape
    assert np.array_equal(recording.values, getattr(pywt.data, load.__name__)())
    assert recording.grid.unit == unit
    for word in ("PyWavelets", "stand-in", f"pywt.data.{load.__name__}"):
        assert word in recording.description


def test_ecg_says_that_its_rate_is_assumed_and_beats_at_a_human_rate():
    recording = st.data.ecg()
    assert "360 samples per second are assumed" in recording.description
    f = recording.values
    peaks = [k for k in range(1, 1023) if f[k] == f[max(0, k - 60) : k + 61].max() and f[k] > 150]
    beats_per_minute = 60 / (np.diff(peaks) * recording.grid.spacing[0])
    assert len(peaks) == 3 and np.all((beats_per_minute > 50) & (beats_per_minute < 100))


def test_recordings_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        st.data.ecg().values[0] = 1.0


def test_bins_are_means_on_the_coarser_grid():
    image = st.data.camera()
    coarse = image.binned(16)
    assert coarse.grid == st.Grid.of((32, 32), sample_rate=1 / 16, unit="pixel")
    assert coarse.values[3, 5] == pytest.approx(image.values[48:64, 80:96].mean(), rel=1e-14)
    assert coarse.grid.extent == image.grid.extent and "blocks of 16 x 16" in coarse.description
    assert st.data.ecg().windows((256,)).binned(2).values.shape == (4, 128)


def test_windows_lie_side_by_side():
    f = st.data.ecg()
    assert np.array_equal(f.windows((256,)).values.reshape(-1), f.values)
    image = st.data.camera()
    quarters = image.windows((256, 200))
    assert quarters.values.shape == (4, 256, 200) and quarters.grid.shape == (256, 200)
    assert np.array_equal(quarters.values[2], image.values[256:, :200])
    assert np.array_equal(quarters.values[1], image.values[:256, 200:400])


@pytest.mark.parametrize("bad", [0, 3, 2.5, True])
def test_bins_must_divide_the_shape(bad):
    with pytest.raises(ValueError, match=r"`binned\(factor=\.\.\.\)`"):
        st.data.ecg().binned(bad)


@pytest.mark.parametrize("bad", [(0,), (2048,), (2, 2), (2.5,)])
def test_windows_must_fit(bad):
    with pytest.raises(ValueError, match=r"`windows\(shape=\.\.\.\)`"):
        st.data.ecg().windows(bad)


def test_own_files_take_their_place(tmp_path):
    np.save(tmp_path / "heart.npy", np.arange(10, dtype=np.int16))
    recording = st.data.ecg(tmp_path / "heart.npy")
    assert np.array_equal(recording.values, np.arange(10.0)) and recording.values.dtype == np.float64
    assert "heart.npy" in recording.description and "PyWavelets" not in recording.description
    assert str(tmp_path) not in recording.description
    with pytest.raises(ValueError, match="2-dimensional"):
        st.data.camera(tmp_path / "heart.npy")


def test_files_that_do_not_help_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="Nothing is downloaded"):
        st.data.ecg(tmp_path / "none.npy")
    (tmp_path / "text.npy").write_text("not an array")
    with pytest.raises(ValueError, match=r"not a \.npy file"):
        st.data.load(tmp_path / "text.npy")
    np.savez(tmp_path / "several.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="expected one array"):
        st.data.load(tmp_path / "several.npz")
    np.save(tmp_path / "words.npy", np.array(["a"]))
    with pytest.raises(ValueError, match="of numbers"):
        st.data.load(tmp_path / "words.npy")
    np.save(tmp_path / "complex.npy", np.array([1j]))
    assert st.data.load(tmp_path / "complex.npy").dtype == np.complex128


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pywt", None)
    monkeypatch.setitem(sys.modules, "pywt.data", None)
    with pytest.raises(FileNotFoundError, match="pip install PyWavelets"):
        st.data.camera()


@pytest.mark.parametrize("name", st.data.TEXTURES)
def test_textures_are_the_photographs_of_the_package(name):
    import skimage.data

    recording = st.data.texture(name)
    assert np.array_equal(recording.values, getattr(skimage.data, name)()) and recording.grid.shape == (512, 512)
    assert recording.name == name and recording.grid.unit == "pixel"
    for word in ("scikit-image", f"skimage.data.{name}", "CC0"):
        assert word in recording.description


def test_textures_that_are_not_there_are_named(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=r"got 'sand', expected one of 'brick', 'grass', 'gravel'"):
        st.data.texture("sand")
    with pytest.raises(ValueError, match="expected one of"):
        st.data.texture(["brick"])
    import skimage

    monkeypatch.setattr(skimage, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(FileNotFoundError, match=r"missing or incomplete .*pip install scikit-image"):
        st.data.texture("grass")
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(FileNotFoundError, match=r"`texture\('gravel'\)`: scikit-image.*pip install scikit-image"):
        st.data.texture("gravel")
