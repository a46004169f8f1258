"""Readers of image files and augmentation of the published recipes."""

import os
import pickle

import numpy as np
import pytest
import torch
from bnn.cifar_files import FOLDERS, records, write_cifar, write_images
from PIL import Image
from scipy import stats

from studies.shared import augmentation, readers
from studies.shared.readers import DataError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# --- CIFAR -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["binary", "python"])
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar(tmp_path, name, version):
    """Every pixel and label, in the order of the files, from the folder itself or the one above it."""
    written = write_cifar(tmp_path, name, version, 3)
    for part, count in (("train", 15 if name == "cifar10" else 3), ("test", 3)):
        for root in (tmp_path, tmp_path / FOLDERS[name][version]):
            images, labels = readers.cifar(root, name, part, complete=False)
            assert images.shape == (count, 3, 32, 32) and images.dtype == torch.uint8 and labels.dtype == torch.int64
            assert np.array_equal(images, written[part][0]) and np.array_equal(labels, written[part][1])


def test_cifar_of_python_3(tmp_path):
    """The same dictionary pickled by this interpreter."""
    folder = tmp_path / FOLDERS["cifar100"]["python"]
    folder.mkdir()
    pixels, labels = records(0, 4, 100)
    content = {b"data": pixels.reshape(4, -1), b"fine_labels": labels.tolist()}
    (folder / "test").write_bytes(pickle.dumps(content, protocol=4))
    images, found = readers.cifar(tmp_path, "cifar100", "test", complete=False)
    assert np.array_equal(images, pixels) and np.array_equal(found, labels)


class _Runs:
    """What a hostile file would hold."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("call", [(os.mkdir, "made"), (eval, "1"), (np.load, "x"), (getattr, "", "join")])
def test_pickles_that_ask_for_more_are_refused(tmp_path, monkeypatch, call):
    """No function is called, also none of the built-in ones or of numpy."""
    monkeypatch.chdir(tmp_path)
    write_cifar(tmp_path, "cifar10", "python", 2)
    path = tmp_path / FOLDERS["cifar10"]["python"] / "test_batch"
    path.write_bytes(pickle.dumps({b"labels": [], b"data": _Runs(*call)}, protocol=2))
    with pytest.raises(DataError, match=r"asks for .*Do not trust this file"):
        readers.cifar(tmp_path, "cifar10", "test", complete=False)
    assert not (tmp_path / "made").exists()


def test_missing_files(tmp_path):
    with pytest.raises(DataError, match=r"No files of CIFAR-10 in .*cifar-10-batches-bin.*Nothing is downloaded"):
        readers.cifar(tmp_path / "nowhere", "cifar10", "train")
    (tmp_path / "cifar-10-python.tar.gz").touch()
    with pytest.raises(DataError, match=r"It holds cifar-10-python\.tar\.gz: unpack with tar -xf"):
        readers.cifar(tmp_path, "cifar10", "train")
    write_cifar(tmp_path, "cifar10", "python", 2)
    (tmp_path / FOLDERS["cifar10"]["python"] / "data_batch_3").unlink()
    with pytest.raises(DataError, match=r"data_batch_3 is missing"):
        readers.cifar(tmp_path, "cifar10", "train", complete=False)


@pytest.mark.parametrize("version", ["binary", "python"])
def test_files_that_are_cut_off(tmp_path, version):
    """In the middle of an image, and, for a file that should be complete, between two."""
    write_cifar(tmp_path, "cifar10", version, 2)
    with pytest.raises(DataError, match="holds 2 images, expected 10000: it is cut off or not the published file"):
        readers.cifar(tmp_path, "cifar10", "test")
    path = next((tmp_path / FOLDERS["cifar10"][version]).glob("test_batch*"))
    for left in (0, 100, path.stat().st_size - 100):
        path.write_bytes(path.read_bytes()[:left] if left else b"")
        with pytest.raises(DataError, match=r"test_batch.* cut off"):
            readers.cifar(tmp_path, "cifar10", "test", complete=False)


def test_files_of_another_kind(tmp_path):
    """Wrong labels, wrong keys, wrong shapes; files of the other data set under these names."""
    folder = tmp_path / FOLDERS["cifar10"]["binary"]
    folder.mkdir()
    (folder / "test_batch.bin").write_bytes(bytes([10]) + bytes(3072))
    with pytest.raises(DataError, match="has the label 10, expected 0 to 9: these are not files of CIFAR-10"):
        readers.cifar(tmp_path, "cifar10", "test", complete=False)
    (folder / "test_batch.bin").write_bytes(bytes(3074))
    with pytest.raises(DataError, match="has 3074 bytes, expected a multiple of 3073"):
        readers.cifar(tmp_path, "cifar10", "test", complete=False)
    folder = tmp_path / FOLDERS["cifar100"]["python"]
    folder.mkdir()
    pixels = np.zeros((2, 3072), np.uint8)
    for content, message in (
        ({b"data": pixels, b"labels": [0, 1]}, r"holds \[\"b'data'\", \"b'labels'\"\], expected .*b'fine_labels'"),
        ([1, 2], "holds list, expected an array"),
        ({b"data": pixels, b"fine_labels": [0]}, r"pixels \(2, 3072\) of uint8 and 1 labels, expected \(1, 3072\)"),
        ({b"data": pixels.astype(float), b"fine_labels": [0, 1]}, "of float64 and 2 labels"),
        ({b"data": pixels, b"fine_labels": [0, "1"]}, "labels that are not whole numbers"),
        ({b"data": pixels, b"fine_labels": [0, -1]}, "has the label -1, expected 0 to 99"),
        ({b"data": pixels[:0], b"fine_labels": []}, "holds no images"),
    ):
        (folder / "test").write_bytes(pickle.dumps(content, protocol=4))
        with pytest.raises(DataError, match=message):
            readers.cifar(tmp_path, "cifar100", "test", complete=False)
    (folder / "test").write_bytes(b"not a pickle")
    with pytest.raises(DataError, match="cut off or not of the python version of CIFAR-100"):
        readers.cifar(tmp_path, "cifar100", "test", complete=False)


# --- folders of images -----------------------------------------------------------------------------------------------


def test_image_folders(tmp_path):
    """Classes in the order of their names; grey and indexed images become RGB; other files are left alone."""
    for part in ("train", "val"):
        write_images(tmp_path, part, {"a": [(5, 7), (6, 4)], "b": [(3, 3)]})
    Image.fromarray(np.full((2, 3), 9, np.uint8)).save(tmp_path / "train" / "b" / "grey.PNG")
    (tmp_path / "train" / "b" / "notes.txt").write_text("no image")
    train, test = readers.image_folders(tmp_path)
    assert train.classes == test.classes == ("a", "b") and train.labels.tolist() == [0, 0, 1, 1] and len(test) == 3
    with Image.open(tmp_path / "train" / "a" / "1.png") as file:
        assert np.array_equal(train.image(1).permute(1, 2, 0), np.array(file))
    assert train.image(3).tolist() == [[[9] * 3] * 2] * 3


def test_image_folders_that_do_not_fit(tmp_path):
    with pytest.raises(DataError, match=r"train is missing: expected one folder per class"):
        readers.image_folders(tmp_path)
    write_images(tmp_path, "train", {"a": [(4, 4)], "b": [(4, 4)]})
    (tmp_path / "val").mkdir()
    with pytest.raises(DataError, match=r"val has no class folders\.$"):
        readers.image_folders(tmp_path)
    Image.new("RGB", (2, 2)).save(tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG")
    with pytest.raises(DataError, match="side by side: sort them into folders of their classes"):
        readers.image_folders(tmp_path)
    write_images(tmp_path, "val", {"a": [(4, 4)], "c": [(4, 4)]})
    with pytest.raises(DataError, match=r"only one of train and val has the classes b, c \(2 such\)"):
        readers.image_folders(tmp_path)
    path = tmp_path / "val" / "c" / "0.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"0\.png was not read: it is cut off or not an image"):
        readers.ImageFolder(tmp_path, "val").image(1)
    path.unlink()
    with pytest.raises(DataError, match="c holds no images"):
        readers.image_folders(tmp_path)


# --- augmentation ----------------------------------------------------------------------------------------------------


def test_normalisation():
    """Black and white of each channel, by hand."""
    x = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2).expand(1, 3, 1, 2)
    want = [[-0.485 / 0.229, 0.515 / 0.229], [-0.456 / 0.224, 0.544 / 0.224], [-0.406 / 0.225, 0.594 / 0.225]]
    assert augmentation.normalise(x)[0, :, 0].tolist() == pytest.approx(np.array(want), rel=1e-6)
    with pytest.raises(TypeError, match=r"got torch\.float32, expected uint8"):
        augmentation.normalise(x.float())


def test_crop_and_flip():
    """Each result is one of the 162 shifts and reflections; all occur, about equally often."""
    image = torch.arange(1, 1 + 3 * 36, dtype=torch.uint8).reshape(3, 6, 6)
    padded = torch.zeros(3, 14, 14, dtype=torch.uint8)
    padded[:, 4:10, 4:10] = image
    possible = {}
    for top in range(9):
        for left in range(9):
            part = padded[:, top : top + 6, left : left + 6]
            for mirrored, x in ((0, part), (1, part.flip(-1))):
                possible.setdefault(x.numpy().tobytes(), (top, left, mirrored))
    assert len(possible) == 162
    found = augmentation.crop_and_flip(image.expand(16_200, 3, 6, 6), seeded())
    counts = np.zeros((9, 9, 2))
    for x in found:
        counts[possible[x.numpy().tobytes()]] += 1
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3
    again = augmentation.crop_and_flip(image.expand(16_200, 3, 6, 6), seeded())
    assert torch.equal(found, again) and not torch.equal(found, augmentation.crop_and_flip(found, seeded(1)))


def test_crop_and_flip_without_padding_keeps_or_mirrors():
    x = torch.rand(64, 2, 5, 4)
    found = augmentation.crop_and_flip(x, seeded(), padding=0)
    kept, mirrored = (torch.tensor([torch.equal(a, b) for a, b in zip(found, y, strict=True)]) for y in (x, x.flip(-1)))
    assert (kept ^ mirrored).all() and kept.any() and mirrored.any()


def test_boxes_fit_and_have_the_law_of_the_recipe():
    """Inside the image; small ones have an area uniform in the range and the logarithm of the aspect too."""
    boxes = np.array([augmentation.resized_crop_box(400, 500, g) for g in [seeded()] for _ in range(4000)])
    top, left, h, w = boxes.T
    assert (top >= 0).all() and (left >= 0).all() and (top + h <= 400).all() and (left + w <= 500).all()
    area = h * w / 200_000
    assert area.min() < 0.09 and area.max() > 0.9
    # Every aspect fits while the area is below 0.6: 500^2 * 3/4 and 400^2 * 3/4 pixels are the limits.
    small = area < 0.59
    assert stats.kstest(area[small], "uniform", (0.08, 0.51)).pvalue > 1e-3
    aspect = np.log(w[small] / h[small])
    assert stats.kstest(aspect, "uniform", (np.log(3 / 4), 2 * np.log(4 / 3))).pvalue > 1e-3


def test_how_often_no_box_fits():
    """In an image four times as wide as high: ten vain draws of an area up to 1.25, by an integral over aspects."""
    count, g = 4000, seeded()
    central = sum(augmentation.resized_crop_box(300, 1200, g) == (0, 400, 300, 400) for _ in range(count))
    aspects = np.exp(np.linspace(np.log(3 / 4), np.log(4 / 3), 10_001))
    fits = np.mean(aspects / 4 - 0.08) / (1.25 - 0.08)
    p = (1 - fits) ** 10
    assert abs(central / count - p) < 4 * np.sqrt(p * (1 - p) / count)


@pytest.mark.parametrize(
    ("height", "width", "want"),
    [(10, 100, (0, 43, 10, 13)), (100, 10, (43, 0, 13, 10)), (12, 12, (0, 0, 12, 12))],
)
def test_a_box_that_never_fits_is_central(height, width, want):
    """The largest part with sides 3:4 to 4:3."""
    assert augmentation.resized_crop_box(height, width, seeded(), scale=(2, 3)) == want


def test_random_resized_crop_is_the_box_resized():
    """Against Pillow, within one grey level, and mirrored in half of the cases."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 80, 3)).astype(np.uint8)
    image = torch.from_numpy(pixels).permute(2, 0, 1)
    mirrored = 0
    for seed in range(40):
        top, left, h, w = augmentation.resized_crop_box(60, 80, seeded(seed))
        part = Image.fromarray(pixels[top : top + h, left : left + w]).resize((32, 32), Image.Resampling.BILINEAR)
        want = np.array(part).astype(int)
        found = augmentation.random_resized_crop(image, 32, seeded(seed)).permute(1, 2, 0).numpy().astype(int)
        gaps = [abs(found - x).max() for x in (want, want[:, ::-1])]
        assert min(gaps) <= 1
        mirrored += gaps[1] < gaps[0]
    assert 8 < mirrored < 32


@pytest.mark.parametrize(("height", "width"), [(300, 400), (333, 290), (256, 256), (30, 40)])
def test_central_crop(height, width):
    """Against Pillow: shorter side 256, longer side rounded down, the middle 224 pixels."""
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)
    size = (256, 256 * height // width) if width < height else (256 * width // height, 256)
    resized = np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)).astype(int)
    top, left = round((size[1] - 224) / 2), round((size[0] - 224) / 2)
    found = augmentation.central_crop(torch.from_numpy(pixels).permute(2, 0, 1))
    want = resized[top : top + 224, left : left + 224].transpose(2, 0, 1)
    assert found.shape == (3, 224, 224) and abs(found.numpy().astype(int) - want).max() <= 1
