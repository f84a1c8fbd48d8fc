"""This repository's compiler, called as its documentation says."""

import inspect

import lnnc


def prepare(model, inputs, threads):
    options = {}
    if "threads" in inspect.signature(lnnc.compile).parameters:
        options["threads"] = threads
    elif threads > 1:
        raise NotImplementedError("runs on one thread")
    compiled = lnnc.compile(model.path, **options)
    return lambda: compiled.run(inputs), lambda result: list(result.values())
