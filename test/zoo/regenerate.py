"""Exports models of this folder again, with new random weights: NAME.onnx and NAME.npz, two sets of
inputs with PyTorch's outputs.

    pip install torch ncps torchdiffeq onnx
    python test/zoo/regenerate.py --out /tmp/zoo            # all that it covers
    python test/zoo/regenerate.py --out /tmp/zoo gru_op ltc_ncp_seq_t16

It covers the cells and sequences of ncps, torch.nn's recurrent layers and the neural ODEs, through
the TorchScript exporter (opset 17). The others (see README.md: Scan and Loop exports, `dynamo`
exports, Mamba, LFM2, GPT-2, MT-LNN, CT-RNN) it does not. Structure and sizes are those of the files
here; weights and inputs are drawn anew, so the files differ from these in every number.
"""

import argparse
import pathlib
import sys

import numpy as np
import torch

MODELS = {}
OPSET = 17


def model(function):
    """Registers a function that returns a module, input names, output names, a maker of inputs and
    the dynamic axes."""
    MODELS[function.__name__] = function
    return function


class Step(torch.nn.Module):
    """One step of an ncps cell: y and the next state, for time steps of shape (batch, 1)."""

    def __init__(self, cell):
        super().__init__()
        self.c = cell

    def forward(self, x, h, ts):
        return self.c(x, h, ts)


class Sequence(torch.nn.Module):
    """An ncps network over a whole sequence, with time steps of shape (batch, time, 1)."""

    def __init__(self, network):
        super().__init__()
        self.r = network

    def forward(self, x, h0, timespans):
        return self.r(x, h0, timespans)


class MixedSequence(torch.nn.Module):
    """An ncps network with an LSTM's memory beside its state."""

    def __init__(self, network):
        super().__init__()
        self.r = network

    def forward(self, x, h0, c0):
        y, (hn, cn) = self.r(x, (h0, c0))
        return y, hn, cn


class Layer(torch.nn.Module):
    """A recurrent layer of torch.nn, its output alone."""

    def __init__(self, layer):
        super().__init__()
        self.r = layer

    def forward(self, x):
        return self.r(x)[0]


class Solve(torch.nn.Module):
    """torchdiffeq's solution of dy/dt = f(y) at nine times from 0 to 1."""

    def __init__(self, method):
        super().__init__()
        self.n = torch.nn.Sequential(
            torch.nn.Linear(4, 32), torch.nn.Tanh(), torch.nn.Linear(32, 4)
        )
        self.method = method

    def forward(self, y0):
        import torchdiffeq

        times = torch.linspace(0, 1, 9)
        return torchdiffeq.odeint(lambda t, y: self.n(y), y0, times, method=self.method)


def step(cell, batch, inputs, states, dynamic=False):
    """A cell's export."""

    def draw():
        return (
            torch.randn(batch, inputs),
            torch.randn(batch, states) * 0.5,
            torch.rand(batch, 1) + 0.1,
        )

    names = ["x", "h", "ts"], ["y", "h_next"]
    axes = {name: {0: "batch"} for name in names[0] + names[1]} if dynamic else {}
    return Step(cell), *names, draw, axes


def sequence(network, time, inputs, states):
    """A sequence's export, of one lane."""

    def draw():
        return (
            torch.randn(1, time, inputs),
            torch.randn(1, states) * 0.5,
            torch.rand(1, time, 1) + 0.1,
        )

    return Sequence(network), ["x", "h0", "timespans"], ["y", "hn"], draw, {}


def layer(network):
    """A recurrent layer's export, of any time and batch."""
    axes = {name: {0: "time", 1: "batch"} for name in ("x", "y")}
    return Layer(network), ["x"], ["y"], lambda: (torch.randn(10, 2, 8),), axes


def solve(method):
    """A neural ODE's export."""
    return Solve(method), ["y0"], ["ys"], lambda: (torch.randn(3, 4),), {}


def wiring(units, outputs, sparsity=0.5):
    """An AutoNCP wiring; the seed makes it the same every time."""
    from ncps.wirings import AutoNCP

    return AutoNCP(units, outputs, sparsity_level=sparsity, seed=22222)


def torch_ncps():
    """ncps.torch, imported where it is needed."""
    import ncps.torch

    return ncps.torch


@model
def cfc_cell():
    return step(torch_ncps().CfCCell(8, 32, backbone_units=64, backbone_layers=1), 4, 8, 32, True)


@model
def cfc_cell_pure():
    cell = torch_ncps().CfCCell(8, 32, mode="pure", backbone_units=64, backbone_layers=2)
    return step(cell, 4, 8, 32)


@model
def cfc_cell_ncp():
    return step(torch_ncps().WiredCfCCell(16, wiring(28, 4)), 1, 16, 28)


@model
def ltc_cell_ncp19():
    wired = wiring(19, 1)
    wired.build(32)
    return step(torch_ncps().LTCCell(wired, 32), 1, 32, 19, True)


@model
def ltc_cell_fc64():
    from ncps.wirings import FullyConnected

    wired = FullyConnected(64)
    wired.build(16)
    return step(torch_ncps().LTCCell(wired, 16, implicit_param_constraints=True), 4, 16, 64)


@model
def cfc_seq_t16():
    return sequence(torch_ncps().CfC(8, 32), 16, 8, 32)


@model
def cfc_ncp_seq_t20():
    return sequence(torch_ncps().CfC(16, wiring(28, 4)), 20, 16, 28)


@model
def ltc_ncp_seq_t16():
    return sequence(torch_ncps().LTC(8, wiring(24, 4)), 16, 8, 24)


@model
def cfc_mixed_seq_t12():
    network = torch_ncps().CfC(8, 24, proj_size=3, mixed_memory=True)

    def draw():
        return torch.randn(1, 12, 8), torch.randn(1, 24) * 0.5, torch.randn(1, 24) * 0.5

    return MixedSequence(network), ["x", "h0", "c0"], ["y", "hn", "cn"], draw, {}


@model
def gru_op():
    return layer(torch.nn.GRU(8, 16))


@model
def lstm_op():
    return layer(torch.nn.LSTM(8, 16))


@model
def rnn_tanh_op():
    return layer(torch.nn.RNN(8, 16))


@model
def node_euler_grid8():
    return solve("euler")


@model
def node_midpoint_grid8():
    return solve("midpoint")


@model
def node_rk4_grid8():
    return solve("rk4")


def export(name, folder):
    """Writes a model and its two reference sets."""
    torch.manual_seed(0)
    module, inputs, outputs, draw, axes = MODELS[name]()
    module.eval()
    arrays = {}
    with torch.no_grad():
        for index in range(2):
            values = draw()
            results = module(*values)
            if not isinstance(results, tuple):
                results = (results,)
            for prefix, names, tensors in (("in", inputs, values), ("out", outputs, results)):
                for key, tensor in zip(names, tensors):
                    arrays[f"{prefix}{index}.{key}"] = tensor.numpy()
        options = {"dynamo": False} if "dynamo" in torch.onnx.export.__code__.co_varnames else {}
        torch.onnx.export(
            module,
            values,
            str(folder / f"{name}.onnx"),
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            **options,
        )
    np.savez(folder / f"{name}.npz", **arrays)


def main():
    """Exit status: 0, or 1 where a model could not be exported."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("models", nargs="*", help=f"of: {', '.join(MODELS)}")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="where to write")
    arguments = parser.parse_args()
    for name in arguments.models:
        if name not in MODELS:
            parser.error(f"{name} is not covered; these are: {', '.join(MODELS)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in arguments.models or MODELS:
        try:
            export(name, arguments.out)
            print(name)
        except Exception as error:  # the other models are exported all the same
            failed.append(name)
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
