"""JAX: the cell's equations under `jit` and `lax.scan`, arguments on the device beforehand."""

import os

import equations
import numpy as np


def prepare(model, inputs, threads):
    if not model.form:
        raise NotImplementedError("no JAX form of this model in benchmarks/equations.py")
    # Threads are as many as cores, which the worker is kept on.
    os.environ["JAX_PLATFORMS"] = "cpu"
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    import jax

    library = equations.Library(
        jax.numpy, jax.nn.sigmoid, jax.numpy.transpose, jax.lax.scan, jax.numpy.asarray
    )
    function = jax.jit(equations.build(model, library))
    values = {name: jax.device_put(value) for name, value in inputs.items()}
    compiled = function.lower(**values).compile()

    def call():
        return jax.block_until_ready(compiled(**values))

    return call, lambda result: [np.asarray(value) for value in result]
