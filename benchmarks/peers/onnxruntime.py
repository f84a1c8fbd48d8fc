"""ONNX Runtime, its CPU provider."""

import onnxruntime


def prepare(model, inputs, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(model.fixed()), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, inputs), list
