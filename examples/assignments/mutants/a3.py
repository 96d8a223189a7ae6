"""Wrong recurrent cells. The first fourteen are the classic ones that common checks miss in part."""

from . import mutant

STEP, TIME, SUMS = "rnn: one step backward", "rnn: dL/dh by step", "rnn: dL/dx, and parameters"
LSTM_STEP, LSTM_FORWARD, LSTM_TIME = "lstm: one step backward", "lstm: one step forward", "lstm: dL/dh and dL/dc"
RNN_DZ = "dz = dh * (1 - h * h)"
RNN_ADD = """            d[name] += step[name]
        dh = step["h_prev"]
"""
RNN_BEGINS = """    dh = np.zeros_like(h0)
    for t in range(len(x) - 1, -1, -1):
        h_prev"""
RNN_CARRY = """        dh = step["h_prev"]
    d["h0"]"""

MUTANTS = [
    mutant("cut_recurrence", (RNN_CARRY, '        dh = np.zeros_like(dh)\n    d["h0"]'),
           check=TIME, said=("dL/dh[5] is right, dL/dh[4] is wrong", "the contribution through h[5] is missing")),
    mutant("no_transpose", ('"h_prev": dz @ U.T', '"h_prev": dz @ U'),
           check=STEP, said="dh_prev = dz @ U, but should be dz @ U.T"),
    mutant("assign_not_accumulate", (RNN_ADD, RNN_ADD.replace("+=", "=")),
           check=SUMS, said=("holds only the contribution of t = 1", "= where += belongs", "W, U, b")),
    mutant("h_t_not_h_prev", ('"U": h_prev.T @ dz', '"U": h.T @ dz'),
           check=STEP, said="dU = h.T @ dz, but should be h_prev.T @ dz"),
    mutant("no_tanh_derivative", (RNN_DZ, "dz = dh"), check=STEP, said="the factor (1 - h**2) is missing"),
    mutant("tanh_derivative_1mh_squared", (RNN_DZ, "dz = dh * (1 - h) ** 2"),
           check=STEP, said="(1 - h**2), not (1 - h)**2"),
    mutant("mean_bias", ('"b": dz.sum(axis=0)', '"b": dz.mean(axis=0)'),
           check=STEP, said="db is the mean over the batch"),
    mutant("bias_2d", ('"b": dz.sum(axis=0)', '"b": dz.sum(axis=0, keepdims=True)'),
           ('"b": np.zeros_like(W[0])}', '"b": np.zeros_like(W[:1])}'),
           check="rnn: shapes", said=("b of rnn_step_backward", "(1, 4); it must be (4,)", "keepdims=True")),
    mutant("truncated", ('        dh = step["h_prev"]\n    d["h0"]',
                         '        dh = step["h_prev"] if t > 2 else np.zeros_like(dh)\n    d["h0"]'),
           check=TIME, said=("dL/dh[3] is right, dL/dh[2] is wrong", "through h[3] is missing", "cut after 3 steps")),
    mutant("forgot_first_step", ("""    dh = np.zeros_like(h0)
    for t in range(len(x) - 1, -1, -1):
        h_prev = hs""", """    dh = np.zeros_like(h0)
    for t in range(len(x) - 1, 0, -1):
        h_prev = hs"""),
           check=TIME, said=("dL/dh[2] is right, dL/dh[1] is wrong", "t = 1 was never reached")),
    mutant("dh0_zero", ('    d["h0"] = dh\n    return d', '    d["h0"] = np.zeros_like(dh)\n    return d'),
           check=TIME, said=("dL/dh[1] is right, dL/dh[0] is wrong", "through h[1] is missing")),
    mutant("inplace_dhs", ("""        dh = dh + dhs[t]
        step = rnn""", """        dhs[t] += dh
        dh = dhs[t]
        step = rnn"""),
           check="rnn: inputs unmodified", said=("rnn_backward changes the caller's array dhs", "dhs[t] += dh")),
    mutant("kept_gradients", ("Array = NDArray[Any]\n", "Array = NDArray[Any]\nkept = {}\n"),
           ("""    dh = np.zeros_like(h0)
    for t in range(len(x) - 1, -1, -1):
        h_prev = hs""", """    d.update(kept)
    kept.update({name: d[name] for name in "WUb"})
    dh = np.zeros_like(h0)
    for t in range(len(x) - 1, -1, -1):
        h_prev = hs"""), ("    d[\"h0\"] = dh\n    return d",
                          '    d["h0"] = dh\n    return {name: a.copy() for name, a in d.items()}'),
           check="rnn: second call", said=("a second call of rnn_backward", "something is kept from call to call")),
    mutant("float32", ('"U": h_prev.T @ dz', '"U": (h_prev.T.astype("f4") @ dz.astype("f4")).astype(float)'),
           check=STEP, said="float32"),
    # ---- more
    mutant("sigmoid_derivative", (RNN_DZ, "dz = dh * h * (1 - h)"), check=STEP, said="derivative of sigmoid"),
    mutant("tanh_of_wrong_state", (RNN_DZ, "dz = dh * (1 - h_prev * h_prev)"),
           check=STEP, said="wrong variable: of h_prev, not of h"),
    mutant("tanh_twice", (RNN_DZ, "dz = dh * (1 - np.tanh(h) ** 2)"), check=STEP, said="tanh is taken twice"),
    mutant("no_transpose_of_W", ('"x": dz @ W.T', '"x": dz @ W'),
           check="rnn: shapes", said=("rnn_step_backward raised ValueError", "is a transpose missing")),
    mutant("U_transposed_gradient", ('"U": h_prev.T @ dz', '"U": dz.T @ h_prev'), check=STEP, said="it is transposed"),
    mutant("direct_gradient_overwritten", ("""        dh = dh + dhs[t]
        step = rnn""", """        dh = dh if t < len(x) - 1 else dhs[t]
        step = rnn"""),
           check=TIME, said=("dL/dh[5] is right, dL/dh[4] is wrong", "overwritten the direct one")),
    mutant("loss_at_every_step_missing", ("""        dh = dh + dhs[t]
        step = rnn""", """        dh = dhs[t]
        step = rnn"""), check=TIME, said="the contribution through h[5] is missing"),
    mutant("recurrence_twice", (RNN_CARRY, '        dh = 2 * step["h_prev"]\n    d["h0"]'),
           check=TIME, said="the contribution through h[5] is counted twice"),
    mutant("state_not_carried", ("h = rnn_step_forward(x[t], h, W, U, b)", "h = rnn_step_forward(x[t], h0, W, U, b)"),
           check="rnn: forward by step", said=("h[1] is right, h[2] is wrong", "h[0] is used where h[1] belongs")),
    mutant("recurrent_term_dropped", ("np.tanh(x @ W + h_prev @ U + b)", "np.tanh(x @ W + b)"),
           check="rnn: one step forward", said="the recurrent term h[0] @ U is missing"),
    mutant("state_for_gradient", ('    d["h0"] = dh\n    return d', '    d["h0"] = dh\n    d["h"] = hs\n    return d'),
           check=TIME, said="it is h[5] itself, not its gradient"),
    mutant("h0_not_used", ("""    h, states = h0, []
    for t in range(len(x)):
        h = rnn_step_forward(x[t], h, W, U, b)
        states.append(h)
    return np.stack(states)""", """    states = np.zeros((len(x), *h0.shape))
    for t in range(len(x)):
        states[t] = rnn_step_forward(x[t], states[t - 1], W, U, b)
    return states"""), check="rnn: forward by step", said="h0 is not used: hs[t - 1] of the first step is hs[-1]"),
    mutant("h0_not_used_backward", ("h_prev = hs[t - 1] if t > 0 else h0", "h_prev = hs[t - 1]"),
           check=SUMS, said=("at t = 1, the last state is used where h0 belongs", "only U is wrong")),
    mutant("dz_for_dh", ('d["h"][t] = dh\n', 'd["h"][t] = dh * (1 - hs[t] ** 2)\n'),
           check=TIME, said="it is dL/dz[5], multiplied by (1 - h**2) already"),
    mutant("bias_b_o_used_twice", ('p["b_f"])', 'p["b_o"])'),
           check=LSTM_FORWARD, said="b_f is unused, b_o is used twice"),
    mutant("gate_order", ("c = f * c_prev + i * g", "c = i * c_prev + f * g"),
           check=LSTM_FORWARD, said="i and f are exchanged"),
    mutant("gates_parameters_swapped",
           ('i = sigmoid(x @ p["W_i"] + h_prev @ p["U_i"] + p["b_i"])',
            'i = sigmoid(x @ p["W_f"] + h_prev @ p["U_f"] + p["b_f"])'),
           check=LSTM_FORWARD, said="with the parameters of gate f: the gates' order is mixed up"),
    mutant("g_is_sigmoid", ("g = np.tanh(x", "g = sigmoid(x"), check=LSTM_FORWARD,
           said="sigmoid is used where tanh belongs"),
    mutant("h_without_tanh", ('"h": o * np.tanh(c)', '"h": o * c'), check=LSTM_FORWARD, said="tanh is missing"),
    mutant("dc_without_h", ('dc = dc + dh * s["o"] * (1 - tanh_c * tanh_c)', "dc = dc + 0 * dh"),
           check=LSTM_STEP, said="dc is wrong: the contribution through h is missing"),
    mutant("tanh_of_wrong_variable", ("(1 - tanh_c * tanh_c)", '(1 - s["c"] ** 2)'),
           check=LSTM_STEP, said=("wrong variable", "1 - c**2, but should be 1 - tanh(c)**2")),
    mutant("dc_prev_with_i", ('"c_prev": dc * s["f"]', '"c_prev": dc * s["i"]'),
           check=LSTM_STEP, said="dc_prev = dc * i, but should be dc * f"),
    mutant("gate_derivative_missing", ('dh * tanh_c * s["o"] * (1 - s["o"])', "dh * tanh_c"),
           check=LSTM_STEP, said="derivative of gate o's own sigmoid is missing"),
    mutant("gate_tanh_derivative", ('dc * s["g"] * s["i"] * (1 - s["i"])', 'dc * s["g"] * (1 - s["i"] ** 2)'),
           check=LSTM_STEP, said="i is a sigmoid: its derivative is i * (1 - i)"),
    mutant("forget_uses_new_state", ('dc * c_prev * s["f"]', 'dc * s["c"] * s["f"]'),
           check=LSTM_STEP, said="dz_f is multiplied by c, but should be by c_prev"),
    mutant("gates_overwrite", ('d["h_prev"] += dz[k]', 'd["h_prev"] = dz[k]'),
           check=LSTM_STEP, said=("dh_prev holds only the contribution of gate g", "= where += belongs")),
    mutant("cell_state_not_carried", ('dh, dc = step["h_prev"], step["c_prev"]', 'dh, dc = step["h_prev"], dc'),
           check=LSTM_TIME, said=("dL/dc[5] is right, dL/dc[4] is wrong", "through c[5] is missing")),
    mutant("lstm_cut", ('dh, dc = step["h_prev"], step["c_prev"]', 'dh, dc = np.zeros_like(h0), step["c_prev"]'),
           check=LSTM_TIME, said=("dL/dh[5] is right, dL/dh[4] is wrong", "through h[5] is missing")),
    mutant("lstm_parameter_assigned", ("        for name in p:\n            d[name] += step[name]",
                                       "        for name in p:\n            d[name] = step[name]"),
           check="lstm: dL/dx, and parameters", said=("holds only the contribution of t = 1", "= where += belongs")),
    mutant("rnn_stored_before_the_step", ("""        h = rnn_step_forward(x[t], h, W, U, b)
        states.append(h)
""", """        states.append(h)
        h = rnn_step_forward(x[t], h, W, U, b)
"""), check="rnn: forward by step", said="it is h[0]: the state is stored before the step"),
    mutant("rnn_carry_itself", (RNN_CARRY, "        pass\n    d[\"h0\"]"), check=TIME,
           said=("dL/dh[4] is wrong", "dL/dh[5] itself is carried back")),
    mutant("rnn_carry_dz", (RNN_CARRY, "        dh = dh * (1 - hs[t] ** 2)\n    d[\"h0\"]"), check=TIME,
           said="the product with U.T is missing: it is dL/dz[5]"),
    mutant("rnn_forgets_return", ('    return {"x": dz @ W.T, "h_prev"', '    {"x": dz @ W.T, "h_prev"'),
           check="rnn: shapes", said="rnn_step_backward returned None: is `return` missing?"),
    mutant("rnn_tuple_for_a_dict", ('return {"x": dz @ W.T, "h_prev": dz @ U.T, "W": x.T @ dz, "U": h_prev.T @ dz, '
                                    '"b": dz.sum(axis=0)}',
           "return dz @ W.T, dz @ U.T, x.T @ dz, h_prev.T @ dz, dz.sum(0)"),
           check="rnn: shapes", said='rnn_step_backward returned a tuple; a dict is wanted: {"x": …, "h_prev": …'),
    mutant("rnn_list_for_an_array", ("return np.stack(states)", "return states"), check="rnn: shapes",
           said="h of rnn_forward is a list; it must be an array of shape"),
    mutant("rnn_key_missing", ('    d["h0"] = dh\n    return d\n    ### END SOLUTION\n\n\n# %% [markdown]\n# ## 2.',
                               '    return d\n    ### END SOLUTION\n\n\n# %% [markdown]\n# ## 2.'),
           check="rnn: shapes", said="rnn_backward returned no 'h0'"),
    mutant("rnn_five_steps", ("for t in range(len(x)):\n        h = rnn", "for t in range(5):\n        h = rnn"),
           check="rnn: second call", said="in a second call, rnn_forward raised IndexError"),
    mutant("rnn_squeezed", ("return np.stack(states)", "return np.stack(states).squeeze()"), check="rnn: second call",
           said="with one step, one sequence, one feature and one unit, h of rnn_forward has shape ()"),
    mutant("rnn_cached_by_length", ("Array = NDArray[Any]\n", "Array = NDArray[Any]\nknown = {}\n"),
           ("return np.stack(states)", "return known.setdefault(len(x), np.stack(states)).copy()"),
           check="rnn: second call", said="a second call of rnn_forward with other inputs gives a wrong h"),
    mutant("lstm_carry_itself", ('dh, dc = step["h_prev"], step["c_prev"]', 'dc = step["c_prev"]'), check=LSTM_TIME,
           said="dL/dh[5] itself is carried back"),
    mutant("lstm_cell_carry_itself", ('dh, dc = step["h_prev"], step["c_prev"]', 'dh, dc = step["h_prev"], step["c"]'),
           check=LSTM_TIME, said="in the backward step from c[5], the factor f is missing"),
    mutant("lstm_dc_overwritten", ('dc = dc + dh * s["o"]', 'dc = dh * s["o"]'), check=LSTM_STEP,
           said="dc, the contribution of the next step, is missing"),
    mutant("lstm_dc_in_place", ('dc = dc + dh * s["o"]', 'dc += dh * s["o"]'), check="lstm: inputs unmodified",
           said="lstm_step_backward changes the caller's array dc"),
    mutant("lstm_forget_gate_missing", ("c = f * c_prev + i * g", "c = c_prev + i * g"), check=LSTM_FORWARD,
           said="the forget gate is missing"),
    mutant("lstm_first_c_missing", ("h, c, steps = h0, c0, []", "h, c, steps = h0, 0 * c0, []"),
           check="lstm: forward by step", said="c_prev is not added"),
    mutant("lstm_dict_consumed", ("    i = sigmoid(x @ p[\"W_i\"]", "    p = p if p.pop(\"b_i\", None) is None else "
                                  "{**p, \"b_i\": 0.0}\n    i = sigmoid(x @ p[\"W_i\"]"), check="lstm: shapes",
           said="lstm_step_forward changes the caller's dict p: work on a copy"),
    mutant("lstm_step_of_ones_alone", ("return {name: np.stack([s[name] for s in steps]) for name in steps[0]}",
                                       "return {name: np.stack([s[name] for s in steps]) for name in steps[1]}"),
           check="lstm: second call", said="in a second call, lstm_forward raised IndexError"),
    # ---- large numbers, zeros
    mutant("gradients_clipped", ('    d["h0"] = dh\n    return d',
                                 '    d["h0"] = dh\n    return {name: np.clip(x, -5, 5) for name, x in d.items()}'),
           check=TIME, said="it is clipped to ±5"),
    mutant("lstm_gradients_clipped",
           ('    d["h0"], d["c0"] = dh, dc\n    return d',
            '    d["h0"], d["c0"] = dh, dc\n    return {name: np.clip(x, -5, 5) for name, x in d.items()}'),
           check=LSTM_TIME, said="it is clipped to ±5"),
    mutant("lstm_cell_clipped", ("    c = f * c_prev + i * g\n", "    c = np.clip(f * c_prev + i * g, -3, 3)\n"),
           check=LSTM_FORWARD, said="c is wrong: it is clipped to ±3"),
    mutant("lstm_gates_overflow", ("np.asarray(0.5 * (1 + np.tanh(0.5 * z)))", "np.exp(z) / (1 + np.exp(z))"),
           check=LSTM_FORWARD, said="numbers are not finite"),
    mutant("lstm_o_from_h", ('dc = dc + dh * s["o"] * (1', 'dc = dc + dh * s["h"] / tanh_c * (1'),
           check=LSTM_TIME, said="numbers are not finite"),
    mutant("steps_without_loss_skipped", ("        dh = dh + dhs[t]\n        step = rnn",
           "        if not dhs[t].any():\n            continue\n        dh = dh + dhs[t]\n        step = rnn"),
           check=TIME, said="dL/dh is wrong"),
    # ---- known since they were found in use
    mutant("relu", ("np.tanh(x @ W + h_prev @ U + b)", "np.maximum(x @ W + h_prev @ U + b, 0)"),
           check="rnn: one step forward", said="ReLU is used where tanh belongs"),
    mutant("small_number_added", (RNN_DZ, "dz = dh * (1 - h * h + 1e-7)"), check=STEP,
           said="right to about 7 digits only, not to all of float64: is something small added"),
    mutant("one_array_for_all_steps", (RNN_BEGINS,
           RNN_BEGINS.replace("dh =", "every, dh = [],")),
           ("        dh = dh + dhs[t]\n        step = rnn", "        dh += dhs[t]\n        every.insert(0, dh)\n"
            "        step = rnn"),
           (RNN_CARRY, '        dh[:] = step["h_prev"]\n    d["h"] = np.array(every)\n    d["h0"]'),
           check=TIME, said="dL/dh[1] … dL/dh[5] are all the same numbers: is one array stored for every step"),
    mutant("states_again_without_bias", (RNN_BEGINS,
           f"    hs = rnn_forward(x, h0, W, U, np.zeros(len(U)))\n{RNN_BEGINS}"),
           check=TIME, said="the states are computed again, without b"),
    mutant("lstm_forget_bias_one", ('h_prev @ p["U_f"] + p["b_f"]', 'h_prev @ p["U_f"] + p["b_f"] + 1'),
           check=LSTM_FORWARD, said="f is wrong: 1 is added to b_f"),
    mutant("lstm_tanh_not_squared", ("(1 - tanh_c * tanh_c)", "(1 - tanh_c)"), check=LSTM_STEP,
           said="the derivative of tanh is 1 - tanh(c)**2, not 1 - tanh(c)"),
    mutant("lstm_forget_gate_of_the_next_step", ('dh, dc = step["h_prev"], step["c_prev"]',
           'dh, dc = step["h_prev"], step["c"] * s["f"][min(t + 1, len(x) - 1)]'),
           check=LSTM_TIME, said="dL/dc[4] is multiplied by f[5], but should be by f[4]"),
    mutant("lstm_reads_a_key_of_its_own", ('"h": o * np.tanh(c)}', '"h": o * np.tanh(c), "tanh_c": np.tanh(c)}'),
           ('tanh_c = np.tanh(s["c"])', 'tanh_c = s["tanh_c"]'),
           check="lstm: shapes", said="s has no 'tanh_c', it has i, f, o, g, c, h alone"),
]
