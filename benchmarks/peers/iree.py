"""IREE: its ONNX importer and CPU code for this machine; arguments on the device beforehand."""

import pathlib
import subprocess
import sys

import numpy as np


def tool(name):
    return pathlib.Path(sys.executable).with_name(name)


def compile_model(model, path):
    """With the tools of its packages, as its guide to ONNX does."""
    imported = path.with_suffix(".mlir")
    run([tool("iree-import-onnx"), model.fixed(), "-o", imported, "--opset-version", "17"])
    options = ["--iree-hal-target-device=local", "--iree-opt-level=O3"]
    options += ["--iree-hal-local-target-device-backends=llvm-cpu"]
    options += ["--iree-llvmcpu-target-cpu=host", "-o", path]
    run([tool("iree-compile"), imported, *options])


def run(command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error:" in line]
        said = lines or ["its compiler crashed"]
        raise RuntimeError(f"exit {done.returncode}: {said[0].strip()}")


def prepare(model, inputs, threads):
    import iree.runtime as rt

    path = model.folder / f"{model.name}.vmfb"
    if not path.exists():
        compile_model(model, path)
    if threads > 1:
        rt.flags.parse_flags(f"--task_topology_group_count={threads}")
    config = rt.Config("local-sync" if threads == 1 else "local-task")
    module = rt.VmModule.mmap(config.vm_instance, str(path))
    context = rt.VmContext(config.vm_instance, [*config.default_vm_modules, module])
    name = next(n for n in module.function_names if not n.startswith("__") and "$" not in n)
    function = module.lookup_function(name)
    arguments = rt.VmVariantList(len(inputs))
    for value in inputs.values():
        arguments.push_ref(rt.asdevicearray(config.device, value)._buffer_view)

    def call():
        results = rt.VmVariantList(4)
        context.invoke(function, arguments, results)
        return results

    def collect(results):
        views = [results.get_as_object(i, rt.HalBufferView) for i in range(results.size)]
        return [np.array(rt.DeviceArray(config.device, v).to_host()) for v in views]

    return call, collect
