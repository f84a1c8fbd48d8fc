"""Runs each tool into each of its exit codes: exit_codes.py ZOO SCRATCH."""

import pathlib
import shutil
import subprocess
import sys

import numpy as np

zoo, scratch = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
shutil.rmtree(scratch, ignore_errors=True)
scratch.mkdir(parents=True)
model, refs = zoo / "cfc_cell.onnx", zoo / "cfc_cell.npz"
artifact = scratch / "model.so"
garbage, odd = scratch / "garbage.onnx", scratch / "odd.onnx"
garbage.write_bytes(b"garbage")
# The operator's name is changed where it stands; the lengths in the file stay right.
odd.write_bytes(model.read_bytes().replace(b"Sigmoid", b"Sigmund"))


def expect(code, *command, words=()):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode == code, (code, done.returncode, command, said)
    assert all(word in said for word in words), (words, said)


expect(0, "lnnc", model, "-o", artifact)
expect(1, "lnnc", garbage, "-o", scratch / "x.so", words=["error"])
expect(2, "lnnc", scratch / "absent.onnx", "-o", scratch / "x.so", words=["absent.onnx"])
expect(2, "lnnc", model, "-o", scratch / "no" / "such" / "folder.so", words=["folder.so"])
expect(3, "lnnc", odd, "-o", scratch / "x.so", words=["Sigmund"])

expect(0, "lnn-translate", "--check-onnx", model)
expect(1, "lnn-translate", "--check-onnx", odd, words=["Sigmund"])
expect(1, "lnn-translate", "--import-onnx", garbage, words=["error"])
expect(1, "lnn-opt", "--lnn-cpu-pipeline", garbage, words=["error"])

expect(0, "lnn-run", artifact, "--verify", refs, "--atol", "2e-6", "--rtol", "2e-6")
expect(1, "lnn-run", artifact, "--verify", refs, "--atol", "0", "--rtol", "0")
expect(2, "lnn-run", artifact, "--frobnicate", words=["--frobnicate"])
expect(3, "lnn-run", garbage, "--describe", words=["error"])
expect(4, "lnn-run", artifact, "--inputs", scratch / "absent.npz", words=["absent.npz"])
one = dict(np.load(refs))
inputs = {k[len("in0.") :]: v for k, v in one.items() if k.startswith("in0.")}
name = sorted(inputs)[0]
np.savez(scratch / "short.npz", **{k: v for k, v in inputs.items() if k != name})
expect(4, "lnn-run", artifact, "--inputs", scratch / "short.npz", words=[name])
wrong = {**inputs, name: np.zeros((1, 1, 1, 1, 1), "f8")}
np.savez(scratch / "wrong.npz", **wrong)
expect(4, "lnn-run", artifact, "--inputs", scratch / "wrong.npz", words=[name])

# A check of the model that fails while it runs.
shape = "(tensor<3xf32>, tensor<1xi64>) -> tensor<1xf32>"
gather = f"""
func.func @main(%x: tensor<3xf32>, %i: tensor<1xi64>) -> tensor<1xf32> {{
  %0 = onnx.node "Gather"(%x, %i) {{axis = 0 : i64}} opset 17 : {shape}
  return %0 : tensor<1xf32>
}}
"""
(scratch / "gather.mlir").write_text(gather)
expect(0, "lnnc", scratch / "gather.mlir", "-o", scratch / "gather.so")
np.savez(scratch / "out.npz", arg0=np.zeros(3, "f4"), arg1=np.array([7]))
expect(5, "lnn-run", scratch / "gather.so", "--inputs", scratch / "out.npz", words=["Gather"])
