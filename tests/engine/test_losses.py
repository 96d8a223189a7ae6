"""Losses: PyTorch's values and gradients, masks, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import losses
from rnn import Cell, t

PYTORCH = json.loads((Path(__file__).parents[1] / "cases" / "pytorch.json").read_text(encoding="utf-8"))
PREDICTION = np.array([[0.5, -1.25, 3.0], [2.0, 0.25, -0.75]])
REAL = np.array([[0.25, 0.75, -1.0], [2.0, 0.5, 0.5]])
PROBABILITY = np.array([[0.0, 1.0, 1.0], [0.25, 0.0, 1.0]])
LABELS = np.array([2, 0])
CASES = {
    "mse": (losses.mse, REAL, {}), "mae": (losses.mae, REAL, {}), "huber": (losses.huber, REAL, {}),
    "huber_delta_2.5": (losses.huber, REAL, {"delta": 2.5}), "cross_entropy": (losses.cross_entropy, LABELS, {}),
    "binary_cross_entropy": (losses.binary_cross_entropy, PROBABILITY, {})}
ALL = pytest.mark.parametrize("name", CASES)


@ALL
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_values_and_gradients_are_pytorchs(name, reduction):
    loss, target, options = CASES[name]
    x = mg.Tensor(PREDICTION, requires_grad=True)
    result = loss(x, target, reduction, **options)
    result.sum().backward()
    np.testing.assert_allclose(result.data, PYTORCH["losses"][name][reduction], rtol=1e-13)
    np.testing.assert_allclose(x.grad, PYTORCH["losses"][name][f"{reduction}_grad"], rtol=1e-13, atol=1e-16)


@ALL
def test_gradients_agree_with_central_differences_to_second_order(name):
    loss, target, options = CASES[name]
    smooth = PREDICTION + 0.01  # not at the kink of mae
    mask = np.arange(len(target.ravel())).reshape(target.shape) % 2 == 0
    mg.gradcheck(lambda x: loss(x, target, **options), [smooth], order=2)
    mg.gradcheck(lambda x: loss(x, target, mask=mask, **options), [smooth], order=2)


@ALL
def test_float32_stays_float32(name):
    loss, target, options = CASES[name]
    target = target if target.dtype.kind == "i" else target.astype(np.float32)
    mask = np.ones(len(target), bool)
    x = mg.Tensor(PREDICTION, requires_grad=True, dtype=np.float32)
    for result in (loss(x, target, **options), loss(x, target, mask=mask, **options)):
        assert result.dtype == np.float32
        result.backward()
        assert x.grad.dtype == np.float32


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "binary_cross_entropy"])
def test_the_target_gets_a_gradient_too(name):
    loss, target, options = CASES[name]
    mg.gradcheck(lambda x, y: loss(x, y, **options), [PREDICTION + 0.01, target * 0.5 + 0.2])


class TestMasks:
    MASK = np.array([[True, False, True], [False, False, True]])

    @pytest.mark.parametrize("name", ["mse", "mae", "huber", "binary_cross_entropy"])
    def test_masked_elements_have_no_loss_no_gradient_and_no_weight_in_the_mean(self, name):
        loss, target, _ = CASES[name]
        target = np.where(self.MASK, target, np.nan)  # never read
        x = mg.Tensor(PREDICTION, requires_grad=True)
        single = [loss(PREDICTION[i], target[i]).item() for i in zip(*np.nonzero(self.MASK))]
        assert loss(x, target, "none", mask=self.MASK).data[~self.MASK].tolist() == [0, 0, 0]
        assert loss(x, target, "sum", mask=self.MASK).item() == pytest.approx(sum(single))
        mean = loss(x, target, mask=self.MASK)
        assert mean.item() == pytest.approx(sum(single) / 3)
        mean.backward()
        assert (x.grad[~self.MASK] == 0).all() and x.grad[self.MASK].any()

    def test_masked_cross_entropy_is_pytorchs_with_ignore_index(self):
        logits = mg.Tensor([[[0.5, -1.25, 3.0], [2.0, 0.25, -0.75]], [[0.1, 0.2, 0.3], [-1, 0, 1]]], requires_grad=True)
        labels = np.array([[2, -100], [1, 0]])
        loss = losses.cross_entropy(logits, labels, mask=labels != -100)
        loss.backward()
        expected = PYTORCH["losses"]["masked_cross_entropy"]
        assert loss.item() == pytest.approx(expected["mean"], rel=1e-14)
        np.testing.assert_allclose(logits.grad, expected["mean_grad"], rtol=1e-13, atol=1e-16)

    def test_a_mask_of_the_first_axes_counts_every_element_of_a_row(self):
        rows = np.array([True, False])
        expected = np.square(PREDICTION - REAL)[0].mean()
        assert losses.mse(PREDICTION, REAL, mask=rows).item() == pytest.approx(expected)
        assert losses.mse(PREDICTION, REAL, mask=mg.Tensor([1.0, 0.0])).item() == pytest.approx(expected)

    def test_where_nothing_counts_the_mean_is_zero(self):
        x = mg.Tensor(PREDICTION, requires_grad=True)
        loss = losses.mse(x, REAL, mask=np.zeros((2, 3), bool))
        loss.backward()
        assert loss.item() == 0 and not x.grad.any()

    @pytest.mark.parametrize("shape", [(3,), (2, 1), (2, 3, 1), (3, 2)])
    def test_another_shape_is_refused(self, shape):
        with pytest.raises(ValueError, match=r"the mask has shape .*the losses have shape \(2, 3\)"):
            losses.mse(PREDICTION, REAL, mask=np.ones(shape, bool))


class TestLargeLogits:
    def test_no_overflow_and_the_right_slopes(self):
        x = mg.Tensor([[1000.0, -1000.0]], requires_grad=True)
        loss = losses.binary_cross_entropy(x, np.array([[0.0, 1.0]]), "sum")
        loss.backward()
        assert loss.item() == 2000 and x.grad.tolist() == [[1, -1]]

    def test_cross_entropy(self):
        x = mg.Tensor([[1000.0, -1000.0]], requires_grad=True)
        loss = losses.cross_entropy(x, np.array([1]))
        loss.backward()
        assert loss.item() == 2000 and x.grad.tolist() == [[1, -1]]


class TestRefusals:
    @pytest.mark.parametrize("name", ["mse", "mae", "huber", "binary_cross_entropy"])
    def test_shapes_that_would_broadcast(self, name):
        with pytest.raises(ValueError, match=rf"{name}: .*shape \(2, 3\), the target \(2, 1\)"):
            CASES[name][0](mg.Tensor(PREDICTION), np.ones((2, 1)))

    @ALL
    def test_an_unknown_reduction(self, name):
        with pytest.raises(ValueError, match="reduction is 'mean', 'sum' or 'none', not 'average'"):
            CASES[name][0](PREDICTION, CASES[name][1], "average")

    @pytest.mark.parametrize("targets", [[[1, -1, 0], [1, 1, 1]], [[0, 1, 2], [0, 0, 0]], [[0, np.nan, 1], [0, 0, 0]]])
    def test_targets_that_are_no_probabilities(self, targets):
        with pytest.raises(ValueError, match="probabilities from 0 to 1"):
            losses.binary_cross_entropy(PREDICTION, np.array(targets, float))

    def test_labels_that_are_no_classes_or_no_integers(self):
        with pytest.raises(IndexError, match=r"label -1 at \[1\] is not one of the 3 classes"):
            losses.cross_entropy(PREDICTION, np.array([2, -1]))
        with pytest.raises(TypeError, match="labels are integers"):
            losses.cross_entropy(PREDICTION, np.array([2.0, 1.0]))
        with pytest.raises(ValueError, match="one class for each row"):
            losses.cross_entropy(PREDICTION, np.array([[2], [1]]))

    def test_a_delta_that_is_not_positive(self):
        with pytest.raises(ValueError, match="delta is a positive number"):
            losses.huber(PREDICTION, REAL, delta=0)


@pytest.mark.parametrize("loss, real", [
    (losses.mse, True), (losses.mae, True), (losses.huber, True), (losses.binary_cross_entropy, True),
    (losses.cross_entropy, False)])
def test_losses_can_be_used_in_an_equation(loss, real):
    rng = np.random.default_rng(0)
    W = mg.Tensor(rng.normal(size=(3, 2)), requires_grad=True, name="W")
    cell = Cell("with a loss")
    x, target = cell.input("x", 2), cell.input("target", 3 if real else ())
    y, L = cell.signal("y", 3), cell.signal("L")
    y[t] = W @ x[t]
    L[t] = loss(y[t], target[t], reduction="none")
    data = rng.normal(size=(4, 5, 2))
    wanted = rng.uniform(size=(4, 5, 3)) if real else rng.integers(0, 3, (4, 5))
    run = cell.unroll(x=data, target=wanted)
    outside = loss(run["y"].stack(), wanted, reduction="none")
    np.testing.assert_allclose(run["L"].stack().data, outside.data)


class TestOtherKindsOfTargets:
    """The shape of a list counts as an array's; a number fits every prediction."""

    @pytest.mark.parametrize("loss", [losses.mse, losses.mae, losses.huber, losses.binary_cross_entropy])
    @pytest.mark.parametrize("target", [[1.0, 0.0, 1.0], (1, 0, 1), np.array([1.0, 0.0, 1.0]), [[[1.0], [0.0], [1.0]]]])
    def test_a_list_of_another_shape_is_refused(self, loss, target):
        column = mg.Tensor([[1.0], [0.0], [1.0]], requires_grad=True, name="p")
        with pytest.raises(ValueError, match=r"the prediction <p \(3, 1\).* has shape \(3, 1\), the target \("):
            loss(column, target)
        with pytest.raises(ValueError, match=r"they must be equal"):
            loss(target, column)

    def test_a_list_of_the_same_shape_is_an_array(self):
        column = mg.Tensor([[1.0], [0.0], [4.0]], requires_grad=True)
        assert losses.mse(column, [[1.0], [0.0], [1.0]]).item() == 3.0
        assert losses.mse(column, 1.0).item() == 10 / 3

    @pytest.mark.parametrize("label", [2, np.int64(2), np.array(2), [2][0]])
    def test_a_single_label(self, label):
        scores = mg.Tensor([0.0, 1.0, 3.0], requires_grad=True)
        expected = np.log(np.exp([0.0, 1.0, 3.0]).sum()) - 3.0
        assert losses.cross_entropy(scores, label).item() == pytest.approx(expected)
        assert mg.pick(scores, label).item() == 3.0

    def test_a_single_label_that_is_no_class_or_no_integer(self):
        scores = mg.Tensor([0.0, 1.0, 3.0], requires_grad=True)
        with pytest.raises(IndexError):
            mg.pick(scores, 3)
        with pytest.raises(TypeError, match="labels are integers, not float64"):
            mg.pick(scores, 2.0)

    def test_a_number_as_label_in_an_equation_holds_for_every_sequence(self):
        cell = Cell("labels")
        x, chosen = cell.input("x", 3), cell.signal("L", ())
        chosen[t] = losses.cross_entropy(x[t], 2, reduction="none")
        data = np.random.default_rng(1).normal(size=(2, 4, 3))
        expected = np.log(np.exp(data).sum(-1)) - data[..., 2]
        np.testing.assert_allclose(cell.unroll(x=data)["L"].stack().data, expected)
        np.testing.assert_allclose(cell.compile()(x=data)["L"], expected)
        for label in (3, -1):
            with pytest.raises(IndexError, match=rf"{label} is no class of .*: classes are 0 to 2 \(at test_losses"):
                mg.pick(x[t], label)
