"""Tensors in a file: whole or not at all, both ways, and never a pickle."""

import os
import pickle
import stat
import zipfile

import numpy as np
import pytest

import minigrad as mg


@pytest.fixture
def weights():
    rng = np.random.default_rng(0)
    return {"W": mg.Tensor(rng.normal(size=(3, 2)), requires_grad=True), "b": mg.Tensor(np.arange(3, dtype=np.float32)),
            "layer1/U.npy": mg.Tensor(rng.normal(size=(2, 2)).T), "file": mg.Tensor(7),
            "größe": mg.Tensor(np.zeros((0, 2))), "array": np.array([True, False])}


def values(tensors):
    return {name: np.asarray(x.data if isinstance(x, mg.Tensor) else x) for name, x in tensors.items()}


def assert_equal(ours, theirs):
    assert list(ours) == list(theirs)
    for name, array in theirs.items():
        assert ours[name].dtype == array.dtype
        np.testing.assert_array_equal(ours[name], array, strict=True)


class TestRoundTrip:
    def test_names_order_shapes_types_and_values_come_back(self, tmp_path, weights):
        mg.save(tmp_path / "model.npz", weights)
        assert_equal(mg.load(tmp_path / "model.npz"), values(weights))

    def test_numpy_reads_what_we_write(self, tmp_path, weights):
        mg.save(tmp_path / "model.npz", weights)
        with np.load(tmp_path / "model.npz", allow_pickle=False) as archive:
            assert_equal(dict(archive), values(weights))

    @pytest.mark.parametrize("savez", [np.savez, np.savez_compressed])
    def test_we_read_what_numpy_writes(self, tmp_path, savez):
        savez(tmp_path / "model.npz", W=np.ones((2, 3)), b=np.zeros(2))
        assert_equal(mg.load(str(tmp_path / "model.npz")), {"W": np.ones((2, 3)), "b": np.zeros(2)})

    def test_into_parameters(self, tmp_path, weights):
        mg.save(tmp_path / "model.npz", {"W": weights["W"], "b": weights["b"]})
        W = mg.Tensor(np.zeros((3, 2)), requires_grad=True)
        b = mg.Tensor(np.zeros(3), requires_grad=True)
        mg.load(tmp_path / "model.npz", into={"b": b, "W": W})
        assert (W.data == weights["W"].data).all() and b.data.tolist() == [0, 1, 2] and b.dtype == np.float64

    def test_an_empty_file_can_be_saved_and_loaded(self, tmp_path):
        mg.save(tmp_path / "empty.npz", {})
        assert mg.load(tmp_path / "empty.npz") == {}

    def test_the_file_has_the_permissions_that_any_new_file_has(self, tmp_path):
        (tmp_path / "other").write_text("")
        mg.save(tmp_path / "model.npz", {"W": np.ones(2)})
        ours, usual = (stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("model.npz", "other"))
        assert ours == usual

    def test_a_link_keeps_pointing_to_the_file(self, tmp_path):
        mg.save(tmp_path / "model.npz", {"W": np.ones(2)})
        (tmp_path / "latest.npz").symlink_to("model.npz")
        mg.save(tmp_path / "latest.npz", {"W": np.zeros(2)})
        assert (tmp_path / "latest.npz").is_symlink()
        assert mg.load(tmp_path / "model.npz")["W"].tolist() == [0, 0]


class TestInterruptions:
    """At whatever point saving fails, the old file is unchanged, and there is no other."""

    @pytest.mark.parametrize("where", ["numpy.lib.format.write_array", "os.fsync", "os.replace"])
    @pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
    def test_the_old_file_stays(self, tmp_path, monkeypatch, where, error):
        def stop(*args, **kwargs):
            raise error

        mg.save(tmp_path / "model.npz", {"W": np.ones(2)})
        before = (tmp_path / "model.npz").read_bytes()
        monkeypatch.setattr(where, stop)
        with pytest.raises(type(error)):
            mg.save(tmp_path / "model.npz", {"W": np.zeros(2)})
        assert os.listdir(tmp_path) == ["model.npz"]
        assert (tmp_path / "model.npz").read_bytes() == before

    @pytest.mark.parametrize("tensors, words", [
        ({"W": np.ones(2), 3: np.ones(2)}, "a name in a file is a string that isn't empty, not 3"),
        ({"": np.ones(2)}, "isn't empty"), ({"W": np.array([1j])}, "W holds complex128"),
        ({"W": np.array([object()])}, "W holds object"), ({"W": np.array(["a"])}, "W holds <U1")])
    def test_values_that_cant_be_saved_are_refused_before_writing(self, tmp_path, tensors, words):
        with pytest.raises(TypeError, match=words):
            mg.save(tmp_path / "model.npz", tensors)
        assert not os.listdir(tmp_path)

    def test_the_file_is_complete_before_it_takes_its_place(self, tmp_path, monkeypatch):
        seen = []
        replace = os.replace

        def look(source, target):
            with np.load(source) as archive:
                seen.append(archive["W"].tolist())
            replace(source, target)

        monkeypatch.setattr("os.replace", look)
        mg.save(tmp_path / "model.npz", {"W": np.ones(2)})
        assert seen == [[1, 1]]


class TestLoadingWhatDoesntFit:
    """All faults are named at once, and nothing is loaded."""

    @pytest.fixture
    def path(self, tmp_path):
        mg.save(tmp_path / "model.npz", {"a": np.ones(2), "b": np.ones((2, 3)), "c": np.ones(1)})
        return tmp_path / "model.npz"

    def test_names_and_shapes(self, path):
        into = {name: mg.Tensor(np.zeros(shape), requires_grad=True) for name, shape in
                [("a", (2,)), ("b", (3, 2)), ("d", (1,))]}
        with pytest.raises(ValueError, match=r"model\.npz doesn't fit, and nothing was loaded") as error:
            mg.load(path, into=into)
        assert str(error.value).splitlines()[1:] == [
            "  d: not in the file", "  c: in the file, but not asked for",
            "  b: the file has shape (2, 3), the tensor (3, 2)"]
        assert not any(tensor.data.any() for tensor in into.values())

    def test_floats_for_integers(self, path):
        into = {"a": mg.Tensor(np.zeros(2)), "b": mg.Tensor(np.zeros((2, 3))), "c": mg.Tensor([0])}
        with pytest.raises(TypeError, match="c holds float64"):
            mg.load(path, into=into)
        assert not into["a"].data.any()


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


class TestFilesOfOtherKinds:
    def test_a_pickle_is_never_executed(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "model.npz").write_bytes(pickle.dumps({"W": Bomb()}))
        with pytest.raises(ValueError, match=r"not an \.npz file.*never loaded"):
            mg.load("model.npz")
        assert os.listdir(tmp_path) == ["model.npz"]

    def test_an_npz_with_a_pickle_in_it_neither(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        np.savez("model.npz", W=np.ones(2), bomb=np.array([Bomb()]))
        with pytest.raises(ValueError, match=r"pickled Python objects, which can run any code"):
            mg.load("model.npz")
        assert os.listdir(tmp_path) == ["model.npz"]

    def test_a_file_that_was_cut_off(self, tmp_path, weights):
        mg.save(tmp_path / "model.npz", weights)
        whole = (tmp_path / "model.npz").read_bytes()
        for length in range(0, len(whole), 97):
            (tmp_path / "model.npz").write_bytes(whole[:length])
            with pytest.raises(ValueError, match=r"is damaged|not an \.npz"):
                mg.load(tmp_path / "model.npz")

    def test_a_flipped_bit_is_found(self, tmp_path):
        mg.save(tmp_path / "model.npz", {"W": np.ones(50)})
        data = bytearray((tmp_path / "model.npz").read_bytes())
        data[300] ^= 1
        (tmp_path / "model.npz").write_bytes(data)
        with pytest.raises(ValueError, match="is damaged: Bad CRC"):
            mg.load(tmp_path / "model.npz")

    @pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY"])
    def test_text_npy_and_empty_files_are_refused(self, tmp_path, content):
        (tmp_path / "model.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"is not an \.npz file"):
            mg.load(tmp_path / "model.npz")

    def test_a_zip_of_other_files_is_refused(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "model.npz", "w") as archive:
            archive.writestr("readme.txt", "hello")
        with pytest.raises((ValueError, TypeError), match=r"readme\.txt"):
            mg.load(tmp_path / "model.npz")

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            mg.load(tmp_path / "none.npz")
