"""What compiled models are compared with: one module each.

A peer's `prepare(model, inputs, threads)` returns two functions: `call()` computes all outputs
once, with the least overhead that its Python API has; `collect(result)` makes NumPy arrays of what
a call returned, in the order of the model's outputs, and is not timed.
"""

# In the order in which they are shown: the module that a peer imports, and its package.
PEERS = {
    "lnnc": ("lnnc", "lnnc"),
    "onnxruntime": ("onnxruntime", "onnxruntime"),
    "openvino": ("openvino", "openvino"),
    "jax": ("jax", "jax"),
    "iree": ("iree.runtime", "iree-base-runtime"),
    "tvm": ("tvm", "apache-tvm"),
    "torch": ("torch", "torch"),
}
