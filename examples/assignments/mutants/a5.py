"""Wrong truncation and training."""

from . import mutant

CUT, TRAIN, ONE = "truncated gradients", "the losses of training", "one chunk"
DETACH = """        loss.backward()
        h = h.detach()
"""
FOR = "    for start in range(0, len(x), k):\n        loss, h = chunk_loss"
TRAIN_FOR = "        for start in range(0, len(x), k):\n            loss, h = chunk_loss"
CLEAR = "            for parameter in p.values():\n                parameter.grad = None\n            loss"
LENGTHS = "chunks of 1 step"
STARTS = "    for start in range(0, len(x), k):\n"
PASS = "one backward pass"
SUM = "        total = loss if start == 0 else total + loss\n        h = h.detach()\n"
DONE = "    return {name: parameter.grad.copy()"
UPDATE = "parameter.data -= lr * parameter.grad"
STORED = "            losses.append(loss.item())"

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
           check=TRAIN,
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
    mutant("train_forgets_return", ("    return losses\n", "    losses\n"), check=TRAIN,
           said="train returned None: is `return` missing?"),
    mutant("train_new_tensors", ("parameter.data -= lr * parameter.grad", "pass"),
           ("            h = h.detach()\n            losses.append",
            "            p.update({name: mg.Tensor(x.data - lr * x.grad, requires_grad=True) "
            "for name, x in p.items()})\n"
            "            h = h.detach()\n            losses.append"), check=TRAIN,
           said="train puts other Tensors into p"),
    mutant("train_one_chunk_more", (TRAIN_FOR, TRAIN_FOR.replace("len(x), k)", "len(x) + 1, k)")),
           check=LENGTHS, said="train raised"),
    mutant("passes_after_all_chunks", (DETACH, "        losses.append(loss)\n        h = h.detach()\n"),
           (STARTS + "        loss", "    losses = []\n" + STARTS + "        loss"),
           (DONE, "    for loss in losses:\n        loss.backward()\n" + DONE), check=PASS,
           said="backward pass 2 goes through states that were computed before backward pass 1"),
    mutant("passes_one_chunk_late", (DETACH, "        if start:\n            before.backward()\n        before = loss\n"
                                     "        h = h.detach()\n"), (DONE, "    before.backward()\n" + DONE), check=PASS,
           said="each chunk's pass comes before the next chunk begins"),
    mutant("dummy_passes", (DETACH, SUM + "        (mg.Tensor(1.0, requires_grad=True) * 1).backward()\n"),
           (DONE, "    total.backward()\n" + DONE), check=PASS, said="there are 1 backward passes, but should be 3"),
    mutant("dummy_passes_of_states", (DETACH, SUM + "        (h @ p[\"U\"] * 0).sum().backward()\n"),
           (DONE, "    total.backward()\n" + DONE), check=PASS,
           said="goes through states that were computed before backward pass 1"),
    mutant("cleared_after_not_before", ("    for parameter in p.values():\n        parameter.grad = None\n    h = ",
                                        "    h = "),
           (DONE, "    found = {name: parameter.grad.copy() for name, parameter in p.items()}\n"
            "    for parameter in p.values():\n        parameter.grad = None\n    return found\n" + DONE),
           check="second call", said="what .grad held before the call added to it"),
    mutant("train_cleared_after_not_before", (CLEAR, "            loss"),
           ("    " + UPDATE, f"    {UPDATE}\n                parameter.grad = None"),
           check=TRAIN, said="the first update adds what .grad held before the call"),
    mutant("kept_by_parameters", ("Array = NDArray[Any]\n", "Array = NDArray[Any]\nknown: dict[int, Any] = {}\n"),
           ("    for parameter in p.values():\n        parameter.grad = None\n    h = ",
            "    if id(p) in known and known[id(p)][0] is p:\n        return known[id(p)][1]\n"
            "    for parameter in p.values():\n        parameter.grad = None\n    h = "),
           (DONE, "    known[id(p)] = p, {name: parameter.grad.copy() for name, parameter in p.items()}\n" + DONE),
           check="second call", said="after an update of the parameters, the gradient of W is that of the call before"),
    mutant("detached_at_every_second_border", (DETACH, "        loss.backward()\n        if start // k % 2:\n"
                                               "            h = h.detach()\n"), check=CUT,
           said="chunk 2's graph reaches back 6 steps"),
    mutant("gradients_added_to_a_sum", (DETACH, DETACH + "        for name in p:\n            total[name] = "
                                        "total.get(name, 0) + p[name].grad\n"),
           (STARTS + "        loss", "    total = {}\n" + STARTS + "        loss"), (DONE, "    return total\n" + DONE),
           check=CUT, said="earlier chunks are counted several times: .grad adds up over backward passes"),
    mutant("mean_over_chunks", ("parameter.grad.copy() for", "parameter.grad / -(-len(x) // k) for"), check=CUT,
           said="exactly 1/3"),
    mutant("gradients_clipped", ("parameter.grad.copy() for", "parameter.grad.clip(-5, 5) for"), check=CUT,
           said="no mistake that we know"),
    mutant("train_clipped", (UPDATE, "parameter.data -= lr * parameter.grad.clip(-5, 5)"), check=TRAIN,
           said="the first loss is right, that of update 2 is wrong"),
    mutant("target_of_the_next_step", ("target[k]))", "target[min(k + 1, len(x) - 1)]))"), check=ONE,
           said="each output is compared with the next step's target"),
    mutant("target_of_the_step_before", ("target[k]))", "target[k - 1]))"), check=ONE,
           said="each output is compared with the target of the step before"),
    mutant("output_of_the_earlier_state", ('h = mg.tanh(x[k]', 'before, h = h, mg.tanh(x[k]'),
           ('mse(h @ p["V"]', 'mse(before @ p["V"]'), check=ONE,
           said="y is computed from the state before the step, h[t-1]"),
    mutant("output_weights_not_trained", ("for parameter in p.values():\n                if parameter.grad is",
           'for parameter in [p["W"], p["U"], p["b"]]:\n                if parameter.grad is'),
           check=TRAIN, said="V is not updated"),
    mutant("update_divided_by_k", (UPDATE, f"{UPDATE} / k"), check=TRAIN, said="the gradient is divided by k"),
    mutant("update_divided_by_steps", (UPDATE, f"{UPDATE} / len(x[start:start + k])"), check=TRAIN,
           said="the gradient is divided by the number of the chunk's steps"),
    mutant("losses_divided_by_steps", (STORED, "            losses.append(loss.item() / len(x[start:start + k]))"),
           check=TRAIN, said="losses are divided by the number of the chunk's steps"),
    mutant("one_update_for_an_epoch", (CLEAR, "            for parameter in p.values():\n"
           "                parameter.grad = None if start == 0 else parameter.grad\n            loss"),
           ("if parameter.grad is not None:\n                    parameter.data", "if start + k >= len(x):\n"
            "                    parameter.data"), check=TRAIN, said="there is one update for each epoch"),
    mutant("empty_last_chunk", (FOR, FOR.replace("len(x), k)", "len(x) + 1, k)")), check=LENGTHS,
           said="truncated_gradients raised"),
    mutant("no_chunk_as_long_as_T", (FOR, "    k = min(k, len(x) - 1) or 1\n" + FOR), check=LENGTHS,
           said=("of T = 8 steps", "with k = 8 is wrong")),
    mutant("chunks_of_two_at_least", (TRAIN_FOR, "        k = max(k, 2)\n" + TRAIN_FOR), check=LENGTHS,
           said="list of losses with k = 1 of train has"),
    mutant("always_two_epochs", ("for _ in range(epochs):", "for _ in range(2):"), check="second call of all",
           said="with one step, one sequence, and one of each size, losses of train has"),
    mutant("rate_of_its_own", (UPDATE, "parameter.data -= 0.03 * parameter.grad"), check="second call of all",
           said="losses of train is wrong"),
]
