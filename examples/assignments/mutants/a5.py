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
    mutant("graph_left_by_data", ('h = mg.tanh(x[k] @ p["W"] + h @ p["U"] + p["b"])',
                                  'h = mg.Tensor(mg.tanh(x[k] @ p["W"] + h @ p["U"] + p["b"]).data)'), check="shapes",
           said=("passes no gradient to W, U, b", "it ends at line", "where a Tensor is made of plain numbers")),
    mutant("loss_is_a_number", ("return mg.stack(losses).sum(), h", "return mg.stack(losses).sum().item(), h"),
           check="shapes", said="returns a float as the loss; it must be a Tensor of the graph"),
    mutant("state_detached_in_the_chunk", ("return mg.stack(losses).sum(), h",
           "return mg.stack(losses).sum(), h.detach()"),
           check="the last state", said="passes no gradient to W, U, b: the graph of the last state"),
    mutant("loss_alone", ("return mg.stack(losses).sum(), h", "return mg.stack(losses).sum()"), check="shapes",
           said="it must be the loss and the last state: return loss, h"),
    mutant("chunk_forgets_return", ("return mg.stack(losses).sum(), h", "mg.stack(losses).sum(), h"), check="shapes",
           said="chunk_loss returned None: is `return` missing?"),
    mutant("output_tanh", ('mg.losses.mse(h @ p["V"]', 'mg.losses.mse(mg.tanh(h @ p["V"])'), check=ONE,
           said="y = h V has a function around it, tanh"),
    mutant("state_is_a_sigmoid", ("h = mg.tanh(", "h = mg.sigmoid("), check=ONE, said="h is a sigmoid"),
    mutant("without_tanh", ("h = mg.tanh(", "h = (" ), check=ONE, said="tanh is missing in h"),
    mutant("recurrent_transposed", ('h @ p["U"]', 'h @ p["U"].T'), check=ONE,
           said="it is h @ U.T, but should be h @ U"),
    mutant("without_bias", (' + p["b"])', ")"), check="shapes", said="passes no gradient to b"),
    mutant("starts_from_zero", ("    h = mg.Tensor(h0)\n    for start", "    h = mg.Tensor(0 * h0)\n    for start"),
           check=CUT, said="the first chunk starts from zero, but should from h0"),
    mutant("losses_after_the_update", ("            losses.append(loss.item())",

           "            losses.append(chunk_loss(x[start:start + k], target[start:start + k], "
                                       "before, p)[0].item())"), (TRAIN_FOR, TRAIN_FOR.replace("loss, h =",

           "before = h\n            loss, h =")),
           check=TRAIN, said="each loss is that after the update"),
    mutant("train_starts_from_zero", ("        h = mg.Tensor(h0)\n        for start", "        h = mg.Tensor(0 * h0)\n"
                                      "        for start"), check=TRAIN, said="every epoch starts from zero"),
    mutant("one_pass_at_the_end", ("        loss.backward()\n        h = h.detach()\n    return {",
                                   "        total = loss if start == 0 else total + loss\n        h = h.detach()\n"
                                   "    total.backward()\n    return {"), check="one backward pass",
           said="there are 1 backward passes, but should be 3, one for each chunk"),
    mutant("gradients_in_a_tuple", ("    return {name: parameter.grad.copy() for name, parameter in p.items() if "
                                    "parameter.grad is not None}", "    return tuple(x.grad for x in p.values())"),
           check="shapes", said='truncated_gradients returned a tuple; a dict is wanted: {"W": …'),
    mutant("gradients_update_too", ("        loss.backward()\n        h = h.detach()\n    return {",
                                    "        loss.backward()\n        h = h.detach()\n    for x in p.values():\n"
                                    "        x.data -= 0.1 * x.grad\n    return {"), check="second call",
           said="truncated_gradients changes the parameters W, U, b, V"),
    mutant("train_loss_per_epoch", ("            losses.append(loss.item())", "        losses.append(loss.item())"),
           check=TRAIN, said="train returns 2 losses, but should return 6, one for each chunk"),
    mutant("train_forgets_return", ("    return losses\n", "    losses\n"), check="inputs unmodified",
           said="train returned None: is `return` missing?"),
    mutant("train_new_tensors", ("parameter.data -= lr * parameter.grad", "pass"),
           ("            h = h.detach()\n            losses.append",
            "            p.update({name: mg.Tensor(x.data - lr * x.grad, requires_grad=True) "
            "for name, x in p.items()})\n"
            "            h = h.detach()\n            losses.append"), check="inputs unmodified",
           said="train puts other Tensors into p"),
    mutant("train_one_chunk_more", (TRAIN_FOR, TRAIN_FOR.replace("len(x), k)", "len(x) + 1, k)")),
           check="second call of all", said="in a second call, train raised"),
]
