"""Configures lit: which files of test/ are tests, and what the names in their RUN lines stand for.

Run it on the build folder (`lit -sv build/test`, or a folder or file below that);
build/test/lit.site.cfg.py says where things are and then loads this file. RUN lines use lnn-opt,
lnn-translate, lnnc, lnn-run, FileCheck, not, count and split-file by name, and also:

  %python   the interpreter that the build was configured with; it finds the lnnc of the build
  %zoo      the folder of exported models with reference results
  %host_cc  the C compiler of the build
"""

import os
import platform

import lit.formats

config.name = "lnn"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.lnn_binary_dir, "test")
# Tests of other kinds (pytest, GoogleTest), their data, and what tests read.
config.excludes = ["python", "unit", "zoo", "Inputs", "CMakeLists.txt"]

# The build's tools come first, so that a tool that is installed elsewhere is never what is tested.
tools = os.path.join(config.lnn_binary_dir, "bin")
path = os.pathsep.join([tools, config.llvm_tools_dir, config.environment.get("PATH", "")])
config.environment["PATH"] = path
config.environment["PYTHONPATH"] = os.path.join(config.lnn_binary_dir, "python")
for variable in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
    if variable in os.environ:
        config.environment[variable] = os.environ[variable]

python = config.python_executable
if config.sanitizers:
    # The runtime must come before all else; Python leaks at its end, by design.
    preload = f"LD_PRELOAD={config.asan_runtime}:libstdc++.so.6"
    if "ASAN_OPTIONS" not in config.environment:
        lit_config.fatal("CONTRIBUTING.md says which ASAN_OPTIONS a build with sanitizers needs")
    asan = config.environment["ASAN_OPTIONS"]
    python = f"env {preload} ASAN_OPTIONS={asan}:detect_leaks=0 {python}"
config.substitutions.append(("%python", python))
config.substitutions.append(("%host_cc", config.host_cc))
config.substitutions.append(("%zoo", os.path.join(config.test_source_root, "zoo")))

# For REQUIRES and UNSUPPORTED. A tool that was not built is no feature: its tests fail, rather than
# being skipped.
if os.path.isdir(os.path.join(config.lnn_binary_dir, "python", "lnnc")):
    config.available_features.add("python")
if platform.machine() in ("x86_64", "AMD64"):
    config.available_features.add("x86_64")
if config.sanitizers:
    config.available_features.add("sanitizers")
