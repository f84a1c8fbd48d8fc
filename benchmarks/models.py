"""The models that compare.py runs: test/zoo, generated ones of known work, published ones.

A model is a file in ONNX with inputs; peers that do not read ONNX find in it the parameters of the
equations that `form` names (see equations.py).
"""

from __future__ import annotations

import dataclasses
import fnmatch
import pathlib
import subprocess
import sys
import zipfile

import numpy as np

ZOO = pathlib.Path(__file__).resolve().parent.parent / "test" / "zoo"
# Of test/zoo: what equations.py has, and whether batch comes before time.
FORMS = {
    "cfc_cell": "cfc step",
    "cfc_seq_t16": "cfc batch-first",
    "cfc_scan": "cfc time-first",
    "ltc_cell_fc64": "ltc step",
    "ltc_cell_ncp19": "ltc step",
    "ltc_ncp_seq_t16": "ltc batch-first",
    "ltc_scan_dynamic": "ltc time-first",
    "gru_op": "gru time-first",
    "lstm_op": "lstm time-first",
}


@dataclasses.dataclass
class Model:
    """One model to run: `steps` is how many time steps a call makes, where that is known;
    `settings` are inputs that say what to compute and never change; in the folder peers may leave
    what they compiled."""

    name: str
    path: pathlib.Path
    inputs: dict
    steps: int = 1
    form: str = ""
    settings: tuple = ()
    folder: pathlib.Path | None = None
    may_fix: bool = True
    was_fixed: bool = False

    def output_names(self):
        """In the model's order, in which peers return their outputs."""
        import onnx

        graph = onnx.load(self.path, load_external_data=False).graph
        return [output.name for output in graph.output]

    def sizes(self):
        """Values of the sizes that are the caller's, by name; lnnc has names for those without."""
        import onnx

        sizes = {}
        for value in onnx.load(self.path, load_external_data=False).graph.input:
            dims = value.type.tensor_type.shape.dim
            for axis, (dim, size) in enumerate(zip(dims, self.inputs[value.name].shape)):
                if dim.dim_value <= 0:
                    sizes[dim.dim_param or f"{value.name}_dim_{axis}"] = size
        return sizes

    def fixed(self):
        """The same model with every size that is the caller's fixed to the inputs' sizes, for peers
        whose code is better for it. None of them loses by it."""
        import onnx

        if not self.may_fix:
            return self.path
        path = self.folder / f"{self.name}.fixed.onnx"
        self.was_fixed = True
        if path.exists():
            return path
        model, sizes = onnx.load(self.path), {}
        for value in model.graph.input:
            for dim, size in zip(value.type.tensor_type.shape.dim, self.inputs[value.name].shape):
                if dim.dim_param:
                    sizes[dim.dim_param] = size
                dim.dim_value = size
        for value in [*model.graph.output, *model.graph.value_info]:
            for dim in value.type.tensor_type.shape.dim:
                if dim.dim_param in sizes:
                    dim.dim_value = sizes[dim.dim_param]
        onnx.save(model, path)
        return path


# --- Files -----------------------------------------------------------------------------------


def from_file(path):
    """A file with inputs beside it: NAME.npz with in0.INPUT, or INPUT, for each."""
    path = pathlib.Path(path)
    arrays = dict(np.load(path.with_suffix(".npz")))
    sets = {name[4:]: value for name, value in arrays.items() if name.startswith("in0.")}
    inputs = sets or {name: value for name, value in arrays.items() if "." not in name}
    return Model(path.stem, path, inputs, form=FORMS.get(path.stem, ""))


def silero_vad(name, folder):
    """Voice activity detection as published: the ONNX files inside of PyPI's `silero-vad`."""
    path = folder / f"{name}.onnx"
    if not path.exists():
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", folder]
        done = subprocess.run([*pip, "silero-vad"], capture_output=True, text=True, timeout=120)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["pip failed"]
            raise RuntimeError(f"cannot download silero-vad: {lines[-1]}")
        wheel = next(folder.glob("silero_vad-*.whl"))
        with zipfile.ZipFile(wheel) as files:
            member = next(f for f in files.namelist() if f.endswith(f"data/{name}.onnx"))
            path.write_bytes(files.read(member))
    random = np.random.default_rng(0)
    # 32 ms of sound behind the last 4 ms of what came before.
    inputs = {
        "input": (random.standard_normal((1, 576)) * 0.1).astype("f4"),
        "state": (random.standard_normal((2, 1, 128)) * 0.1).astype("f4"),
        "sr": np.array(16000, "i8"),
    }
    return Model(name, path, inputs, settings=("sr",))


PUBLISHED = {"silero_vad": silero_vad, "silero_vad_op18_ifless": silero_vad}


# --- Generated -------------------------------------------------------------------------------


class Graph:
    """Builds a graph node by node, named as the exporter of PyTorch would name them."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)
        self.nodes, self.values, self.inputs, self.outputs = [], {}, [], []

    def uniform(self, low, high, *shape):
        return self.random.uniform(low, high, shape).astype("f4")

    def constant(self, value, name=None, dtype="f4"):
        name = name or f"constant_{len(self.values)}"
        self.values[name] = np.asarray(value, dtype)
        return name

    def op(self, kind, *inputs, **attributes):
        from onnx import helper

        name = f"/{kind}_{len(self.nodes)}"
        output = attributes.pop("output", f"{name}_output_0")
        outputs = output if isinstance(output, list) else [output]
        self.nodes.append(helper.make_node(kind, list(inputs), outputs, name=name, **attributes))
        return output

    def input(self, name, *shape):
        self.inputs.append((name, shape))
        return name

    def save(self, path, outputs):
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        def infos(pairs):
            return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in pairs]

        weights = [numpy_helper.from_array(value, name) for name, value in self.values.items()]
        graph = helper.make_graph(
            self.nodes, path.stem, infos(self.inputs), infos(outputs), weights
        )
        opset = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def ncp_masks(inputs, units, outputs, random, sparsity=0.5):
    """Synapses of a neural circuit policy: inputs, inter, command and motor neurons, in this order
    from the highest to the lowest index, each layer with fan-outs (the last with fan-ins) that the
    sparsity asks for. As ncps.wirings.AutoNCP counts them, drawn differently.
    """
    density = 1 - sparsity
    command = max(int(0.4 * (units - outputs)), 1)
    inter = units - outputs - command
    layers = {
        "motor": np.arange(outputs),
        "command": np.arange(outputs, outputs + command),
        "inter": np.arange(outputs + command, units),
    }
    sensory, mask = np.zeros((inputs, units), "f4"), np.zeros((units, units), "f4")
    fan_out = max(int(inter * density), 1)
    for source in range(inputs):
        sensory[source, random.choice(layers["inter"], fan_out, replace=False)] = 1
    fan_out = max(int(command * density), 1)
    for source in layers["inter"]:
        mask[source, random.choice(layers["command"], fan_out, replace=False)] = 1
    for _ in range(max(int(command * density * 2), 1)):
        mask[random.choice(layers["command"]), random.choice(layers["command"])] = 1
    for motor in layers["motor"]:
        mask[random.choice(layers["command"], fan_out, replace=False), motor] = 1
    return sensory, mask


def ltc_parameters(g, inputs, units, wired):
    """Parameters of an LTC within the ranges that ncps draws them from, under its names."""
    masks = np.ones((inputs, units), "f4"), np.ones((units, units), "f4")
    if wired:
        masks = ncp_masks(inputs, units, 1, g.random)
    names = {}
    for prefix, rows, mask in (("sensory_", inputs, masks[0]), ("", units, masks[1])):
        shape = rows, units
        drawn = {
            "sigma": g.uniform(3, 8, *shape),
            "mu": g.uniform(0.3, 0.8, *shape),
            "w": g.uniform(0.001, 1, *shape),
            "erev": np.where(g.random.random(shape) < 0.5, -1, 1) * (mask if wired else 1),
            "sparsity_mask": mask,
        }
        for key, value in drawn.items():
            names[prefix + key] = g.constant(value, f"cell.{prefix}{key}")
    for key, low, high in (("gleak", 0.001, 1), ("vleak", -0.2, 0.2), ("cm", 0.4, 0.6)):
        names[key] = g.constant(g.uniform(low, high, units), f"cell.{key}")
    return names


def ltc_cell(g, inputs, units, unfolds=6, wired=False):
    """An LTC's step as ncps writes it: fused semi-implicit Euler, six unfolds."""
    p = ltc_parameters(g, inputs, units, wired)
    axis1, axis2 = g.constant([1], dtype="i8"), g.constant([2], dtype="i8")
    count, epsilon = g.constant(float(unfolds)), g.constant(1e-8)
    leak = g.op("Mul", p["gleak"], p["vleak"])

    def synapses(values, prefix):
        shifted = g.op("Sub", g.op("Unsqueeze", values, axis2), p[prefix + "mu"])
        gate = g.op("Sigmoid", g.op("Mul", p[prefix + "sigma"], shifted))
        active = g.op("Mul", g.op("Mul", p[prefix + "w"], gate), p[prefix + "sparsity_mask"])
        driven = g.op("Mul", active, p[prefix + "erev"])
        return [g.op("ReduceSum", v, axis1, keepdims=0) for v in (driven, active)]

    def cell(x, h, dt):
        sensed = synapses(x, "sensory_")
        capacity = g.op("Div", p["cm"], g.op("Div", dt, count))
        for _ in range(unfolds):
            top, bottom = (g.op("Add", a, b) for a, b in zip(synapses(h, ""), sensed))
            top = g.op("Add", g.op("Add", g.op("Mul", capacity, h), leak), top)
            bottom = g.op("Add", g.op("Add", capacity, p["gleak"]), bottom)
            h = g.op("Div", top, g.op("Add", bottom, epsilon))
        return h

    return cell


def cfc_cell(g, inputs, units, backbone):
    """A CfC's step as ncps writes it: LeCun's tanh in the backbone, four heads."""

    def layer(name, width, out):
        weight = g.constant(g.uniform(-1, 1, out, width) / width**0.5, f"cell.{name}.weight")
        bias = g.constant(g.uniform(-0.1, 0.1, out), f"cell.{name}.bias")
        return lambda x: g.op("Gemm", x, weight, bias, transB=1)

    trunk = layer("backbone.0", inputs + units, backbone)
    heads = [layer(name, backbone, units) for name in ("ff1", "ff2", "time_a", "time_b")]
    outer, inner, one = g.constant(1.7159), g.constant(0.666), g.constant(1.0)

    def cell(x, h, dt):
        z = trunk(g.op("Concat", x, h, axis=1))
        z = g.op("Mul", outer, g.op("Tanh", g.op("Mul", inner, z)))
        first, second, a, b = (head(z) for head in heads)
        t = g.op("Sigmoid", g.op("Add", g.op("Mul", a, dt), b))
        kept = g.op("Mul", g.op("Tanh", first), g.op("Sub", one, t))
        return g.op("Add", kept, g.op("Mul", t, g.op("Tanh", second)))

    return cell


def unrolled(path, kind, steps, batch, inputs, units, **options):
    """A cell over time, unrolled as exporters do it."""
    g = Graph()
    cell = {"ltc": ltc_cell, "cfc": cfc_cell}[kind](g, inputs, units, **options)
    axis = g.constant([1], dtype="i8")
    x, dt = g.input("x", batch, steps, inputs), g.input("timespans", batch, steps, 1)
    h, states = g.input("h0", batch, units), []
    for t in range(steps):
        now = g.constant(t, dtype="i8")
        h = cell(g.op("Gather", x, now, axis=1), h, g.op("Gather", dt, now, axis=1))
        states.append(g.op("Unsqueeze", h, axis))
    g.op("Concat", *states, axis=1, output="y")
    g.op("Identity", h, output="hn")
    g.save(path, [("y", (batch, steps, units)), ("hn", (batch, units))])
    values = {
        "x": g.uniform(-1, 1, batch, steps, inputs),
        "timespans": g.uniform(0.1, 1, batch, steps, 1),
        "h0": np.zeros((batch, units), "f4"),
    }
    return Model(path.stem, path, values, steps, f"{kind} batch-first")


def layer_op(path, kind, steps, batch, inputs, units):
    """ONNX's GRU or LSTM."""
    g, gates = Graph(), {"GRU": 3, "LSTM": 4}[kind]
    scale = units**-0.5
    names = [
        g.constant(g.uniform(-scale, scale, 1, gates * units, inputs), "W"),
        g.constant(g.uniform(-scale, scale, 1, gates * units, units), "R"),
        g.constant(g.uniform(-scale, scale, 1, 2 * gates * units), "B"),
    ]
    x, h = g.input("x", steps, batch, inputs), g.input("h0", 1, batch, units)
    arguments = [x, *names, "", h]
    outputs = [("y", (steps, 1, batch, units)), ("hn", (1, batch, units))]
    if kind == "LSTM":
        arguments.append(g.input("c0", 1, batch, units))
        outputs.append(("cn", (1, batch, units)))
    options = {"linear_before_reset": 1} if kind == "GRU" else {}
    g.op(kind, *arguments, output=[n for n, _ in outputs], hidden_size=units, **options)
    g.save(path, outputs)
    values = {name: g.uniform(-1, 1, *shape) for name, shape in g.inputs}
    return Model(path.stem, path, values, steps, f"{kind.lower()} time-first")


# Each makes its model at this path.
GENERATED = {
    "ltc64_b1_t32": lambda p: unrolled(p, "ltc", 32, 1, 16, 64),
    "ltc64_b256_t8": lambda p: unrolled(p, "ltc", 8, 256, 16, 64),
    "ltc_ncp19_b1_t32": lambda p: unrolled(p, "ltc", 32, 1, 32, 19, wired=True),
    "cfc64_b1_t32": lambda p: unrolled(p, "cfc", 32, 1, 16, 64, backbone=128),
    "cfc256_b256_t8": lambda p: unrolled(p, "cfc", 8, 256, 64, 256, backbone=256),
    "gru64_b1_t32": lambda p: layer_op(p, "GRU", 32, 1, 16, 64),
    "lstm64_b1_t32": lambda p: layer_op(p, "LSTM", 32, 1, 16, 64),
}


# --- Choosing --------------------------------------------------------------------------------


def available():
    """All names, by group."""
    return {
        "zoo": sorted(path.stem for path in ZOO.glob("*.onnx")),
        "generated": list(GENERATED),
        "published": list(PUBLISHED),
    }


def choose(patterns):
    """The names that groups, names and patterns like `ltc*` stand for; paths as they are."""
    groups, chosen = available(), []
    every = [name for names in groups.values() for name in names]
    for pattern in patterns or groups:
        if pattern in groups:
            found = groups[pattern]
        elif pattern.endswith(".onnx"):
            found = [pattern]
        else:
            found = fnmatch.filter(every, pattern)
        if not found:
            raise ValueError(f"no model {pattern!r}; there are: {', '.join(every)}")
        chosen += [name for name in found if name not in chosen]
    return chosen


def load(name, folder):
    """A model by name; what is made or fetched for it lies in the folder."""
    if name.endswith(".onnx"):
        return from_file(name)
    if name in PUBLISHED:
        return PUBLISHED[name](name, folder)
    if name in GENERATED:
        return GENERATED[name](folder / f"{name}.onnx")
    return from_file(ZOO / f"{name}.onnx")
