"""This repository's compiler, called as its documentation says."""

import lnnc


def prepare(model, inputs, threads):
    options = {}
    if model.settings:
        options["freeze"] = {name: inputs[name] for name in model.settings}
        options["sizes"] = model.sizes()
    compiled = lnnc.compile(model.path, threads=threads, **options)
    given = {name: value for name, value in inputs.items() if name not in model.settings}
    return lambda: compiled.run(given), lambda result: list(result.values())
