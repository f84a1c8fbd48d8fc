"""PyTorch: the cell's equations under `torch.compile`, time unrolled; eager where it has to."""

import equations


def prepare(model, inputs, threads):
    if not model.form:
        raise NotImplementedError("no PyTorch form of this model in benchmarks/equations.py")
    import torch

    torch.set_num_threads(threads)

    def scan(step, state, sequences):
        outputs = []
        for values in zip(*sequences):
            state, output = step(state, values)
            outputs.append(output)
        return state, torch.stack(outputs)

    library = equations.Library(torch, torch.sigmoid, torch.permute, scan, torch.from_numpy)
    values = {name: torch.from_numpy(value) for name, value in inputs.items()}
    function = torch.compile(equations.build(model, library))

    def call():
        with torch.inference_mode():
            return function(**values)

    return call, lambda result: [value.numpy() for value in result]
