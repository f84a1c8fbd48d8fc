//===- Compiler.cpp - lnnc._compiler: the compiler's facade for Python ----===//
//
// Loaded when the first model is compiled, so that programs that only run
// models never load LLVM.
//
//===----------------------------------------------------------------------===//
#include "lnn/Compiler/Compiler.h"
#include "lnn/Target/Target.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;

namespace {

const char *kindName(lnn::ErrorKind kind) {
  switch (kind) {
  case lnn::ErrorKind::None:
    return "";
  case lnn::ErrorKind::Unsupported:
    return "unsupported";
  case lnn::ErrorKind::Input:
    return "input";
  case lnn::ErrorKind::Compile:
    break;
  }
  return "compile";
}

/// (kind of error or "", diagnostics, bytes of the artifact): of a file if
/// `source` is str, else of a model in memory.
py::tuple
compile(const py::object &source, const std::string &target,
        const std::string &cpu, const std::string &features,
        const std::string &name, const std::string &baseDir,
        const std::vector<std::pair<std::string, std::string>> &states,
        const std::string &emit, bool reroll, bool raise, bool foldFeedback,
        const std::vector<std::pair<std::string, int64_t>> &sizes,
        const std::vector<
            std::tuple<std::string, std::vector<int64_t>,
                       std::variant<std::vector<int64_t>, std::vector<double>>>>
            &frozen,
        const std::vector<std::string> &dynamic, bool streaming, bool profile,
        const std::string &weights, const std::string &products,
        const std::string &math) {
  lnn::CompileOptions options;
  options.target = target;
  options.cpu = cpu;
  options.features = features;
  options.name = name;
  options.baseDir = baseDir;
  options.states = states;
  options.emit = emit;
  options.reroll = reroll;
  options.raise = raise;
  options.foldFeedback = foldFeedback;
  options.sizes = sizes;
  for (const auto &[input, shape, values] : frozen)
    options.frozen.push_back({input, shape, values});
  options.dynamic = dynamic;
  options.streaming = streaming;
  options.profile = profile;
  options.weights = weights;
  options.products = products;
  options.math = math;

  lnn::CompileResult result;
  if (py::isinstance<py::str>(source)) {
    std::string path =
        py::module_::import("os").attr("fsencode")(source).cast<std::string>();
    py::gil_scoped_release release;
    result = lnn::compileFile(path, options);
  } else {
    // A view of the caller's bytes, which `source` keeps alive and which cannot
    // change.
    std::string_view bytes = source.cast<py::bytes>();
    py::gil_scoped_release release;
    result = lnn::compileBuffer(llvm::StringRef(bytes.data(), bytes.size()),
                                options);
  }
  std::string diagnostics = result.diagnostics;
  py::object text = py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(diagnostics.data(), diagnostics.size(), "replace"));
  return py::make_tuple(
      kindName(result.error), text,
      py::bytes(result.artifact.bytes.data(), result.artifact.bytes.size()));
}

} // namespace

PYBIND11_MODULE(_compiler, m) {
  m.doc() = "The compiler of lnnc.";
  m.def("compile", &compile, py::arg("source"), py::kw_only(),
        py::arg("target"), py::arg("cpu"), py::arg("features"), py::arg("name"),
        py::arg("base_dir"), py::arg("states"), py::arg("emit"),
        py::arg("reroll"), py::arg("raise_cells"), py::arg("fold_feedback"),
        py::arg("sizes"), py::arg("frozen"), py::arg("dynamic"),
        py::arg("streaming"), py::arg("profile"), py::arg("weights"),
        py::arg("products"), py::arg("math"));
  m.def("targets", [] {
    py::list names;
    for (llvm::StringRef name : lnn::targetNames())
      names.append(py::str(name.data(), name.size()));
    return names;
  });
}
