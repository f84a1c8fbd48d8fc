"""Unrolled recurrences, as exporters write them, and graphs that look like one and are none.

Each entry of GRAPHS builds an onnx.ModelProto from a random generator; LOOPS says how many
iterations its longest loop has once re-rolled, or 0 where nothing may be taken for a loop.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

N, I, T = 6, 4, 9  # noqa: E741


class Builder:
    """Nodes, constants and outputs of a graph in the making."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants, self.inputs, self.outputs = [], [], [], []

    def input(self, name, shape):
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def const(self, value, dtype="f4"):
        name = f"k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def ints(self, *values):
        return self.const(list(values), "i8")

    def weight(self, *shape):
        return self.const(self.random.uniform(-0.6, 0.6, shape))

    def op(self, kind, *inputs, count=1, **attributes):
        names = [f"v{len(self.nodes)}_{i}" for i in range(count)]
        self.nodes.append(
            helper.make_node(kind, list(inputs), names, f"n{len(self.nodes)}", **attributes)
        )
        return names[0] if count == 1 else names

    def output(self, value, shape, name=None):
        name = name or f"y{len(self.outputs)}"
        self.nodes.append(helper.make_node("Identity", [value], [name], name))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def model(self):
        graph = helper.make_graph(self.nodes, "g", self.inputs, self.outputs, self.constants)
        opsets = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


class Cell:
    """A gated recurrent cell, 9 nodes a step."""

    def __init__(self, b, n=N, i=I):
        self.b = b
        self.w, self.r, self.bias = b.weight(i, n), b.weight(n, n), b.weight(n)
        self.g, self.one = b.weight(n, n), b.const(1.0)

    def __call__(self, x, h, r=None, act="Tanh", bias=None, g=None):
        op = self.b.op
        z = op("Add", op("MatMul", x, self.w), op("MatMul", h, r or self.r))
        a = op(act, op("Add", z, bias or self.bias))
        s = op("Sigmoid", op("MatMul", h, g or self.g))
        return op("Add", op("Mul", a, op("Sub", self.one, s)), op("Mul", s, h))


def steps(b, cell, times, h, x="x", axis=1, **changes):
    """Steps over x at `times`; `changes` maps a step's place to what differs there."""
    values = []
    for k, t in enumerate(times):
        u = b.op("Gather", x, b.const(t, "i8"), axis=axis)
        h = cell(u, h, **changes.get(f"at{k}", {}))
        values.append(h)
    return values


def joined(b, values, axis=1, name=None):
    rank3 = [b.op("Unsqueeze", v, b.ints(axis)) for v in values]
    shape = [1, N]
    shape.insert(axis, len(values))
    b.output(b.op("Concat", *rank3, axis=axis), shape, name)


def start(b, time=T):
    b.input("x", [1, time, I])
    b.input("h0", [1, N])
    return Cell(b)


GRAPHS, LOOPS = {}, {}


def graph(loop):
    def register(build):
        GRAPHS[build.__name__], LOOPS[build.__name__] = build, loop
        return build

    return register


# ---- recurrences ---------------------------------------------------------------------------------


@graph(T)
def forward(b):
    joined(b, steps(b, start(b), range(T), "h0"))


@graph(T)
def backward_in_time(b):
    joined(b, steps(b, start(b), range(T - 1, -1, -1), "h0")[::-1])


@graph(T)
def every_second_sample(b):
    joined(b, steps(b, start(b, 2 * T), range(1, 2 * T, 2), "h0"))


@graph(T)
def negative_indices(b):
    joined(b, steps(b, start(b), range(-T, 0), "h0"))


@graph(T)
def last_output_only(b):
    b.output(steps(b, start(b), range(T), "h0")[-1], [1, N])


@graph(T)
def each_step_an_output(b):
    for v in steps(b, start(b), range(T), "h0"):
        b.output(v, [1, N])


@graph(T)
def initial_state_in_the_output(b):
    values = steps(b, start(b), range(T), "h0")
    rows = [b.op("Unsqueeze", v, b.ints(1)) for v in ["h0", *values]]
    b.output(b.op("Concat", *rows, axis=1), [1, T + 1, N])


@graph(T)
def slices_and_squeeze(b):
    cell, h, values = start(b), "h0", []
    for t in range(T):
        u = b.op("Slice", "x", b.ints(t), b.ints(t + 1), b.ints(1))
        h = cell(b.op("Squeeze", u, b.ints(1)), h)
        values.append(h)
    joined(b, values)


@graph(T)
def split_of_all_steps(b):
    cell, h, values = start(b), "h0", []
    for u in b.op("Split", "x", count=T, axis=1):
        h = cell(b.op("Squeeze", u, b.ints(1)), h)
        values.append(h)
    joined(b, values)


@graph(T)
def windows_of_two_samples(b):
    cell, h, values = start(b, T + 1), "h0", []
    for t in range(T):
        u = b.op("Slice", "x", b.ints(t), b.ints(t + 2), b.ints(1))
        h = cell(b.op("ReduceMean", u, axes=[1], keepdims=0), h)
        values.append(h)
    joined(b, values)


@graph(T)
def folded_zero_state(b):
    cell, values = start(b), []
    h = b.op("Squeeze", b.const(np.zeros((1, 1, N))), b.ints(0))
    values = steps(b, cell, range(T), h)
    joined(b, values)


@graph(T)
def folded_unsqueeze_of_zeros(b):
    cell, values = start(b), []
    row, h = b.const(np.zeros((1, 1, N))), b.const(np.zeros((1, N)))
    w = b.weight(N, N)
    for t in range(T):
        if t:
            row = b.op("Unsqueeze", h, b.ints(0))
        r = b.op("Squeeze", b.op("MatMul", row, w), b.ints(0))
        h = cell(b.op("Gather", "x", b.const(t, "i8"), axis=1), r)
        values.append(h)
    joined(b, values)


@graph(T)
def irregular_constant_dt(b):
    cell, h, values = start(b), "h0", []
    for t in range(T):
        new = cell(b.op("Gather", "x", b.const(t, "i8"), axis=1), h)
        h = b.op("Add", h, b.op("Mul", b.const(0.1 + 0.01 * t * t), b.op("Sub", new, h)))
        values.append(h)
    joined(b, values)


@graph(T)
def output_map(b):
    cell = start(b)
    w, c = b.weight(N, N), b.weight(N)
    joined(b, [b.op("Gemm", h, w, c) for h in steps(b, cell, range(T), "h0")])


@graph(T)
def outputs_scattered(b):
    y = b.const(np.zeros((T, 1, N)))
    for t, h in enumerate(steps(b, start(b), range(T), "h0")):
        y = b.op("ScatterND", y, b.const([[t]], "i8"), b.op("Unsqueeze", h, b.ints(0)))
    b.output(y, [T, 1, N])


@graph(T)
def two_states(b):
    cell = start(b)
    other = Cell(b, N, N)
    c = b.input("c0", [1, N])
    h, values = "h0", []
    for t in range(T):
        c = other(h, c)
        h = cell(b.op("Gather", "x", b.const(t, "i8"), axis=1), b.op("Tanh", c))
        values.append(h)
    joined(b, values)
    b.output(c, [1, N])


@graph(T)
def nested_solver_steps(b):
    cell, h, values = start(b), "h0", []
    for t in range(T):
        u = b.op("Gather", "x", b.const(t, "i8"), axis=1)
        for _ in range(4):
            h = cell(u, h)
        values.append(h)
    joined(b, values)


@graph(T)
def reversed_and_forward(b):
    first, second = start(b), Cell(b)
    joined(b, steps(b, first, range(T), "h0"))
    joined(b, steps(b, second, range(T - 1, -1, -1), "h0")[::-1])


@graph(T)
def two_layers(b):
    first, second = start(b), Cell(b, N, N)
    h, g, values = "h0", b.input("g0", [1, N]), []
    for t in range(T):
        h = first(b.op("Gather", "x", b.const(t, "i8"), axis=1), h)
        g = second(h, g)
        values.append(g)
    joined(b, values)


@graph(T)
def nodes_in_another_order(b):
    joined(b, steps(b, start(b), range(T), "h0"))
    # Consumers may come anywhere behind their operands: all slices first.
    b.nodes.sort(key=lambda n: n.op_type != "Gather")


# ---- graphs that look periodic and are not -------------------------------------------------------


@graph(5)
def one_weight_differs(b):
    cell = start(b)
    joined(b, steps(b, cell, range(T), "h0", at3=dict(r=b.weight(N, N))))


@graph(8)  # all but the step that leads nowhere
def one_step_uses_another_state(b):
    cell, h, values = start(b), "h0", []
    for t in range(T):
        u = b.op("Gather", "x", b.const(t, "i8"), axis=1)
        h = cell(u, values[t - 2] if t == 5 else h)
        values.append(h)
    joined(b, values)


@graph(T)
def indices_skip(b):
    joined(b, steps(b, start(b, T + 3), [0, 1, 2, 3, 5, 6, 7, 9, 11], "h0"))


@graph(T)
def indices_repeat(b):
    joined(b, steps(b, start(b), [0, 1, 2, 2, 3, 4, 5, 6, 7], "h0"))


@graph(0)
def layers_that_look_like_time(b):
    h = b.input("h0", [1, N])
    b.input("x", [1, N])
    for _ in range(5):
        h = Cell(b, N, N)("x", h)
    b.output(h, [1, N])


@graph(T)
def swapped_states(b):
    cell, other = start(b), Cell(b, N, N)
    h, g, values = "h0", b.input("g0", [1, N]), []
    for t in range(T):
        u = b.op("Gather", "x", b.const(t, "i8"), axis=1)
        h, g = other(h, g), cell(u, h)
        values.append(h)
    joined(b, values)
    b.output(g, [1, N])


@graph(5)
def states_swapped_once(b):
    cell, other = start(b), Cell(b, N, N)
    h, g, values = "h0", b.input("g0", [1, N]), []
    for t in range(T):
        if t == 4:
            h, g = g, h
        g = other(h, g)
        h = cell(b.op("Gather", "x", b.const(t, "i8"), axis=1), b.op("Add", h, g))
        values.append(h)
    joined(b, values)
    b.output(g, [1, N])


@graph(T)
def an_intermediate_is_used_too(b):
    values = steps(b, start(b), range(T), "h0")
    joined(b, values)
    b.output(b.op("Mul", values[3], values[6]), [1, N])


@graph(5)
def an_intermediate_feeds_a_later_step(b):
    cell, h, values = start(b), "h0", []
    w = b.weight(N, N)
    for t in range(T):
        u = b.op("Gather", "x", b.const(t, "i8"), axis=1)
        if t == 4:
            h = b.op("Add", h, b.op("MatMul", values[1], w))
        h = cell(u, h)
        values.append(h)
    joined(b, values)


@graph(5)
def another_activation_once(b):
    joined(b, steps(b, start(b), range(T), "h0", at3=dict(act="Sigmoid")))


@graph(8)
def the_last_step_differs(b):
    cell = start(b)
    joined(b, steps(b, cell, range(T), "h0", **{f"at{T - 1}": dict(r=b.weight(N, N))}))


@graph(8)
def the_first_step_differs(b):
    cell = start(b)
    joined(b, steps(b, cell, range(T), "h0", at0=dict(g=b.weight(N, N))))


@graph(T)
def a_step_reads_the_next_sample_too(b):
    cell, h, values = start(b, T + 1), "h0", []
    for t in range(T):
        u, v = (b.op("Gather", "x", b.const(t + k, "i8"), axis=1) for k in (0, 1))
        h = cell(b.op("Add", u, v), h)
        values.append(h)
    joined(b, values)


@graph(5)
def one_step_reads_the_next_sample(b):
    cell, h, values = start(b, T + 1), "h0", []
    for t in range(T):
        u = b.op("Gather", "x", b.const(t, "i8"), axis=1)
        if t == 3:
            u = b.op("Add", u, b.op("Gather", "x", b.const(t + 1, "i8"), axis=1))
        h = cell(u, h)
        values.append(h)
    joined(b, values)


@graph(T)
def a_step_twice(b):
    cell = start(b)
    values = steps(b, cell, range(T), "h0")
    again = cell(b.op("Gather", "x", b.const(4, "i8"), axis=1), values[3])  # equals values[4]
    joined(b, values)
    b.output(again, [1, N])


@graph(0)
def period_of_two(b):
    cell = start(b)
    r = b.weight(N, N)
    odd = {f"at{t}": dict(r=r) for t in range(1, 8, 2)}
    joined(b, steps(b, cell, range(8), "h0", **odd))


@graph(0)
def no_recurrence(b):
    start(b)
    w, c = b.weight(I, N), b.weight(N)
    rows = []
    for t in range(T):
        u = b.op("Gather", "x", b.const(t, "i8"), axis=1)
        rows.append(b.op("Tanh", b.op("Add", b.op("MatMul", u, w), b.op("Mul", c, "h0"))))
    joined(b, rows)


@graph(2)  # its last two levels on one side
def a_tree(b):
    x = b.input("x", [8, N])
    cell = Cell(b, N, N)
    values = [b.op("Slice", x, b.ints(k), b.ints(k + 1), b.ints(0)) for k in range(8)]
    while len(values) > 1:
        values = [cell(p, q) for p, q in zip(values[::2], values[1::2])]
    b.output(values[0], [1, N])


@graph(T)
def a_scale_of_all_states(b):
    """What all steps' results give is used by each step's output: it may not move into the loop."""
    values = steps(b, start(b), range(T), "h0")
    total = b.op("Sum", *values)
    joined(b, [b.op("Mul", v, total) for v in values])


@graph(0)
def runge_kutta_stages(b):
    """Four stages that look alike; each is read by itself."""
    h, w, c = b.input("h0", [1, N]), b.weight(N, N), b.weight(N)
    k, stages = None, []
    for a in (0, 0.05, 0.05, 0.1):
        z = h if k is None else b.op("Add", h, b.op("Mul", k, b.const(a)))
        k = b.op("Tanh", b.op("Add", b.op("MatMul", z, w), c))
        stages.append(k)
    s = b.op("Add", b.op("Add", stages[0], b.op("Mul", stages[1], b.const(2.0))), stages[3])
    b.output(b.op("Add", h, b.op("Add", s, b.op("Mul", stages[2], b.const(2.0)))), [1, N])


def model(name):
    builder = Builder(sum(map(ord, name)))
    GRAPHS[name](builder)
    return builder.model()
