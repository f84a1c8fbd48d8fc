"""lnn-run takes less than 300 KB, and is linked to nothing large."""

import os
import shutil
import subprocess

tool = shutil.which("lnn-run")
assert os.path.getsize(tool) < 300_000, os.path.getsize(tool)
libraries = subprocess.run(["ldd", tool], capture_output=True, text=True, check=True).stdout
for name in ("LLVM", "MLIR", "python", "protobuf", "onnx"):
    assert name not in libraries, libraries
