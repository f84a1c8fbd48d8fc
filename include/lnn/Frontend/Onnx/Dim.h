//===- Dim.h - symbolic dimensions -------------------------------*- C++
//-*-===//
//
// A dimension is an interned integer expression over named symbols ("batch",
// "time"): equal pointers are equal sizes.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_FRONTEND_ONNX_DIM_H
#define LNN_FRONTEND_ONNX_DIM_H

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/raw_ostream.h"
#include <cassert>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <tuple>

namespace lnn::onnx {

class DimContext;

struct DimNode {
  enum Kind { Constant, Symbol, Add, Mul, FloorDiv, Min, Max } kind;
  int64_t value = 0; // Constant
  std::string name;  // Symbol
  const DimNode *lhs = nullptr, *rhs = nullptr;
  unsigned id = 0;     // order of creation
  unsigned weight = 1; // nodes of the expression, written out
};

/// A value type; null when default-constructed (unknown).
class Dim {
public:
  Dim() = default;
  explicit Dim(const DimNode *node) : node(node) {}
  explicit operator bool() const { return node; }
  bool operator==(Dim o) const { return node == o.node; }
  bool operator!=(Dim o) const { return node != o.node; }
  bool isConst() const { return node && node->kind == DimNode::Constant; }
  bool isConst(int64_t v) const { return isConst() && node->value == v; }
  bool isSymbol() const { return node && node->kind == DimNode::Symbol; }
  int64_t value() const {
    assert(isConst());
    return node->value;
  }
  std::optional<int64_t> maybe() const {
    return isConst() ? std::optional(node->value) : std::nullopt;
  }
  const DimNode *get() const { return node; }
  std::string str() const;

private:
  const DimNode *node = nullptr;
};

/// Makes and interns dimensions; simplifies (constants, x+0, x*1, x-x, ordering
/// of commutative operands). What overflows 64 bits, or is written out longer
/// than any model needs, is unknown (null): models are untrusted.
class DimContext {
public:
  Dim constant(int64_t value);
  /// The symbol of that name: the same name is the same size.
  Dim symbol(llvm::StringRef name);
  /// A symbol no other dimension has.
  Dim fresh(llvm::StringRef hint);
  Dim add(Dim a, Dim b);
  Dim sub(Dim a, Dim b);
  Dim mul(Dim a, Dim b);
  Dim floorDiv(Dim a, Dim b);
  Dim ceilDiv(Dim a, Dim b);
  Dim min(Dim a, Dim b);
  Dim max(Dim a, Dim b);

private:
  Dim make(DimNode node);
  std::deque<DimNode> nodes;
  std::map<
      std::tuple<int, int64_t, std::string, const DimNode *, const DimNode *>,
      const DimNode *>
      interned;
  unsigned freshCount = 0;
};

} // namespace lnn::onnx
#endif // LNN_FRONTEND_ONNX_DIM_H
