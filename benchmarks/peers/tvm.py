"""TVM: Relax from ONNX, its standard pipeline, CPU code for this machine."""

import os

import numpy as np


def prepare(model, inputs, threads):
    os.environ["TVM_NUM_THREADS"] = str(threads)
    import onnx
    import tvm
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    proto = onnx.load(model.fixed())
    shapes = {name: list(value.shape) for name, value in inputs.items()}
    module = from_onnx(proto, shape_dict=shapes, keep_params_in_input=False)
    cpu = tvm.target.codegen.llvm_get_system_cpu()
    target = tvm.target.Target({"kind": "llvm", "mcpu": cpu, "num-cores": threads})
    built = relax.build(module, target)
    machine = relax.VirtualMachine(built, tvm.cpu())
    function = machine["main"]
    arguments = [tvm.runtime.tensor(inputs[i.name]) for i in proto.graph.input if i.name in inputs]

    def collect(result):
        values = [result] if hasattr(result, "numpy") else list(result)
        return [np.array(value.numpy()) for value in values]

    return lambda: function(*arguments), collect
