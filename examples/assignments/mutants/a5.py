"""Wrong truncation and training."""

from . import mutant

CUT, TRAIN, ONE = "truncated gradients", "the losses of training", "one chunk"
DETACH = """        loss.backward()
        h = h.detach()
"""
FOR = "    for start in range(0, len(x), k):\n        loss, h = chunk_loss"
TRAIN_FOR = "        for start in range(0, len(x), k):\n            loss, h = chunk_loss"
CLEAR = "            for parameter in p.values():\n                parameter.grad = None\n            loss"

MUTANTS = [
    mutant("not_detached", (DETACH, "        loss.backward()\n"),
           check=CUT, said="the gradient is never cut: the state that is carried on is not detached"),
    mutant("detached_every_step", ("h @ p[\"U\"]", "h.detach() @ p[\"U\"]"), check=ONE,
           said="the gradient is cut at every step"),
    mutant("cut_in_the_wrong_place", (FOR, FOR.replace("len(x), k)", "len(x), k + 1)")),
           ("chunk_loss(x[start:start + k], target[start:start + k], h, p)\n        loss.backward()",
            "chunk_loss(x[start:start + k + 1], target[start:start + k + 1], h, p)\n        loss.backward()"),
           check=CUT, said=("chunks have 4 steps, but should have 3", "the cut is in the wrong place")),
    mutant("state_reset", (DETACH, "        loss.backward()\n        h = mg.Tensor(h0)\n"),
           check=CUT, said="every chunk starts from h0 again"),
    mutant("cleared_every_chunk", (DETACH, "        for parameter in p.values():\n            parameter.grad = None\n"
                                   + DETACH),
           check=CUT, said="only the last chunk's gradient is there"),
    mutant("short_chunk_left_out", (FOR, FOR.replace("len(x), k)", "len(x) - k + 1, k)")),
           check=CUT, said="the last, shorter chunk is left out"),
    mutant("not_cleared_at_start", ("    for parameter in p.values():\n        parameter.grad = None\n    h = ",
                                    "    h = "),
           check="second call", said=("exactly twice the gradient", "was not cleared")),
    mutant("mean_over_steps", ("mg.stack(losses).sum(), h", "mg.stack(losses).mean(), h"),
           check=ONE, said="it is the mean over the steps, but should be the sum"),
    mutant("last_loss_alone", ("mg.stack(losses).sum(), h", "losses[-1], h"), check=ONE,
           said="the last step's loss alone"),
    mutant("train_not_cleared", (CLEAR, "            loss"), check=TRAIN,
           said="must be cleared before each backward pass"),
    mutant("train_not_detached", ("            h = h.detach()\n            losses.append", "            losses.append"),
           check="inputs unmodified",
           said=("train raised ValueError", "is the state not detached?")),
    mutant("train_upwards", ("parameter.data -=", "parameter.data +="), check=TRAIN, said="its sign is wrong"),
    mutant("train_never", ("parameter.data -= lr", "parameter.data -= 0 * lr"), check=TRAIN,
           said="the parameters are not updated"),
    mutant("train_resets_state", (TRAIN_FOR, TRAIN_FOR.replace("loss, h =",
                                                               "h = mg.Tensor(h0)\n            loss, h =")),
           check=TRAIN, said="not carried from chunk to chunk: each starts from h0"),
    mutant("train_carries_over_epochs", ("    for _ in range(epochs):\n        h = mg.Tensor(h0)\n",
                                         "    h = mg.Tensor(h0)\n    for _ in range(epochs):\n"),
           check=TRAIN, said="every epoch starts from h0"),
    mutant("target_shifted_in_place", ("    h = mg.Tensor(h0)\n    for start",
                                       "    target[:] = target\n    h = mg.Tensor(h0)\n    for start"),
           check="inputs unmodified", said=("truncated_gradients writes into an array of the caller's",
                                            "target[:] = target")),
]
