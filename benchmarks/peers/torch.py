"""PyTorch: the cell's equations under `torch.compile`, time unrolled; `torch.nn`'s GRU and LSTM."""

import equations

# Where torch.nn has ONNX's gates: z, r, n and i, o, f, c.
GATES = {"gru": (1, 0, 2), "lstm": (0, 2, 3, 1)}


def layer(model, torch):
    """The recurrent layer of `torch.nn` with the model's weights."""
    kind = model.form.split()[0]
    p = equations.parameters(model.path)
    units, inputs = p["R"].shape[1], p["W"].shape[1]
    module = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[kind](inputs, units)

    def ordered(weights):
        gates = torch.from_numpy(weights).chunk(len(GATES[kind]))
        return torch.cat([gates[i] for i in GATES[kind]])

    half = len(p["B"]) // 2
    values = (p["W"], p["R"], p["B"][:half], p["B"][half:])
    with torch.no_grad():
        for name, value in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), values):
            getattr(module, f"{name}_l0").copy_(ordered(value))

    def run(x, h0=None, c0=None):
        if h0 is None:  # an export of the layer, which returns the sequence alone
            return (module(x)[0],)
        y, state = module(x, h0 if c0 is None else (h0, c0))
        return (y[:, None], state) if c0 is None else (y[:, None], *state)

    return run


def scan(torch):
    def run(step, state, sequences):
        outputs = []
        for values in zip(*sequences):
            state, output = step(state, values)
            outputs.append(output)
        return state, torch.stack(outputs)

    return run


def prepare(model, inputs, threads):
    if not model.form:
        raise NotImplementedError("no PyTorch form of this model in benchmarks/equations.py")
    import torch

    torch.set_num_threads(threads)
    if model.form.split()[0] in GATES:
        function = layer(model, torch)
    else:
        library = equations.Library(
            torch, torch.sigmoid, torch.permute, scan(torch), torch.from_numpy
        )
        function = torch.compile(equations.build(model, library))
    values = {name: torch.from_numpy(value) for name, value in inputs.items()}

    def call():
        with torch.inference_mode():
            return function(**values)

    return call, lambda result: [value.numpy() for value in result]
