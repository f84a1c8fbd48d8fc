"""This repository's compiler, called as its documentation says."""

import inspect

import lnnc


def prepare(model, inputs, threads):
    # A compiler that has no such option uses one thread, whatever it may.
    options = (
        {"threads": threads} if "threads" in inspect.signature(lnnc.compile).parameters else {}
    )
    compiled = lnnc.compile(model.path, **options)
    return lambda: compiled.run(inputs), lambda result: list(result.values())
