//===- Explain.h - what became of a user's graph ----------------*- C++ -*-===//
#ifndef LNN_EXPLAIN_EXPLAIN_H
#define LNN_EXPLAIN_EXPLAIN_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/raw_ostream.h"
#include <string>
#include <vector>

namespace lnn::explain {

/// A node of the user's graph.
struct UserNode {
  std::string type, name;
};

/// What some of the user's nodes became: a loop, a recurrent operator, or
/// nothing else than what they were.
struct Part {
  enum Kind { Loop, Recurrent, Subgraph } kind = Loop;
  std::string title;              ///< "Scan over 16 steps"
  std::vector<int> nodes;         ///< of the user's graph, by number; ascending
  std::vector<std::string> lines; ///< axes, states, outputs
  std::string stop;               ///< why there are no more steps
  std::vector<std::string> cells; ///< raised in it: "raised to ... at node"
  std::vector<std::string> lacks; ///< what nearly is a cell, and is none
  std::vector<Part> inner;
};

struct Explanation {
  std::string model;
  std::vector<UserNode> nodes;
  std::vector<Part> regions;
  std::vector<std::string> unrolled;     ///< what looks periodic and is no loop
  std::vector<std::string> cells, lacks; ///< outside of the loops
};

/// Re-rolls and raises an imported model, and says what became of its nodes.
mlir::FailureOr<Explanation> explain(mlir::ModuleOp module);

void printText(const Explanation &explanation, llvm::raw_ostream &os);
/// The user's graph, a square a node, beside the loops that it became.
void printSvg(const Explanation &explanation, llvm::raw_ostream &os);

} // namespace lnn::explain
#endif // LNN_EXPLAIN_EXPLAIN_H
