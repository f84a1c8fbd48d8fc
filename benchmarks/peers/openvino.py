"""OpenVINO, told to compute in f32 (it takes bfloat16 where a CPU has it) and for latency."""

import numpy as np
import openvino


def prepare(model, inputs, threads):
    core = openvino.Core()
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
    }
    compiled = core.compile_model(core.read_model(str(model.fixed())), "CPU", options)
    request = compiled.create_infer_request()
    for port in compiled.inputs:
        name = next(name for name in port.names if name in inputs)
        request.set_tensor(port, openvino.Tensor(inputs[name], shared_memory=True))

    def collect(result):
        return [np.array(result[port]) for port in compiled.outputs]

    return lambda: request.infer(share_outputs=True), collect
