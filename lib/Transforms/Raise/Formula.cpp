//===- Formula.cpp - tensors in index notation ----------------------------===//
#include "Formula.h"

#include "lnn/Dialect/Lnn/Lnn.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace lnn::raise {

/// How deep formulas are nested: a limit on the stack.
constexpr unsigned maxDepth = 256;

Type formulaType(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isF32() || element.isF64() ? element : Type();
}

void Formula::Profile(llvm::FoldingSetNodeID &id) const {
  id.AddInteger(static_cast<int>(kind));
  id.AddPointer(type.getAsOpaquePointer());
  id.AddInteger(llvm::bit_cast<uint64_t>(number));
  id.AddPointer(value.getAsOpaquePointer());
  id.AddPointer(indices.getAsOpaquePointer());
  id.AddInteger(variable);
  id.AddInteger(extent);
  id.AddPointer(name.getAsOpaquePointer());
  id.AddPointer(attributes.getAsOpaquePointer());
  for (F operand : operands)
    id.AddPointer(operand);
}

static Function functionOf(StringRef name) {
  return llvm::StringSwitch<Function>(name)
      .Case("arith.addf", Function::Add)
      .Case("arith.subf", Function::Sub)
      .Case("arith.mulf", Function::Mul)
      .Case("arith.divf", Function::Div)
      .Case("arith.negf", Function::Neg)
      .Case("math.absf", Function::Abs)
      .Case("math.exp", Function::Exp)
      .Case("math.tanh", Function::Tanh)
      .Case("lnn.sigmoid", Function::Sigmoid)
      .Default(Function::Other);
}

static StringRef nameOf(Function function) {
  switch (function) {
  case Function::Add:
    return "arith.addf";
  case Function::Sub:
    return "arith.subf";
  case Function::Mul:
    return "arith.mulf";
  case Function::Div:
    return "arith.divf";
  case Function::Neg:
    return "arith.negf";
  case Function::Abs:
    return "math.absf";
  case Function::Exp:
    return "math.exp";
  case Function::Tanh:
    return "math.tanh";
  case Function::Sigmoid:
    return "lnn.sigmoid";
  case Function::Other:
    break;
  }
  llvm_unreachable("a function of its own name");
}

Notation::Notation(MLIRContext *context) : context(context) {}

F Notation::unique(const Formula &formula) {
  llvm::FoldingSetNodeID id;
  formula.Profile(id);
  void *place = nullptr;
  if (Formula *existing = formulas.FindNodeOrInsertPos(id, place))
    return existing;
  auto *fresh = new (memory.Allocate<Formula>()) Formula(formula);
  fresh->id = made++;
  if (!formula.operands.empty()) {
    auto *copy = memory.Allocate<F>(formula.operands.size());
    llvm::copy(formula.operands, copy);
    fresh->operands = ArrayRef<F>(copy, formula.operands.size());
  }
  formulas.InsertNode(fresh, place);
  return fresh;
}

static OperationName noName(MLIRContext *context) {
  return OperationName("arith.constant", context);
}

F Notation::number(double value, Type type) {
  Formula formula(Kind::Number, type, noName(context));
  formula.number = value == 0 ? 0 : value; // one zero
  return unique(formula);
}

F Notation::read(Value tensor, AffineMap indices) {
  Formula formula(Kind::Read, formulaType(tensor.getType()), noName(context));
  formula.value = tensor;
  formula.indices = indices;
  for (unsigned d = 0; d < maxVariables; ++d)
    if (indices.isFunctionOfDim(d))
      formula.variables |= uint64_t(1) << d;
  return unique(formula);
}

F Notation::sum(unsigned variable, int64_t extent, F term) {
  Formula formula(Kind::Sum, term->type, noName(context));
  formula.variable = variable;
  formula.extent = extent;
  formula.operands = term;
  formula.variables = term->variables & ~(uint64_t(1) << variable);
  return unique(formula);
}

/// Arithmetic on numbers, and with neutral elements; null where there is
/// nothing to do.
F Notation::fold(Function function, F lhs, F rhs) {
  bool isNumber =
      lhs->kind == Kind::Number && (!rhs || rhs->kind == Kind::Number);
  auto made = [&](double value) {
    return number(lhs->type.isF32() ? static_cast<float>(value) : value,
                  lhs->type);
  };
  switch (function) {
  case Function::Add:
    if (isNumber)
      return made(lhs->number + rhs->number);
    return lhs->isNumber(0) ? rhs : rhs->isNumber(0) ? lhs : nullptr;
  case Function::Sub:
    if (isNumber)
      return made(lhs->number - rhs->number);
    return rhs->isNumber(0) ? lhs : nullptr;
  case Function::Mul:
    if (isNumber)
      return made(lhs->number * rhs->number);
    return lhs->isNumber(1) ? rhs : rhs->isNumber(1) ? lhs : nullptr;
  case Function::Div:
    if (isNumber && rhs->number != 0)
      return made(lhs->number / rhs->number);
    return rhs->isNumber(1) ? lhs : nullptr;
  case Function::Neg:
    return isNumber ? made(-lhs->number) : nullptr;
  default:
    return nullptr;
  }
}

F Notation::apply(OperationName name, DictionaryAttr attributes,
                  ArrayRef<F> operands) {
  Formula formula(Kind::Apply, operands.front()->type, name);
  formula.function = functionOf(name.getStringRef());
  if (formula.function == Function::Other)
    formula.attributes = attributes;
  else if (F folded = fold(formula.function, operands[0],
                           operands.size() > 1 ? operands[1] : nullptr))
    return folded;
  formula.operands = operands;
  for (F operand : operands)
    formula.variables |= operand->variables;
  return unique(formula);
}

F Notation::binary(Function function, F lhs, F rhs) {
  return apply(OperationName(nameOf(function), context), {}, {lhs, rhs});
}

Indices Notation::variables(ArrayRef<int64_t> shape, unsigned first) const {
  Indices result;
  for (auto [i, size] : llvm::enumerate(shape))
    result.push_back(size == 1 ? zero() : variable(first + i));
  return result;
}

ArrayRef<Notation::Source> Notation::sources(F formula) const {
  auto it = origins.find(formula);
  return it == origins.end() ? ArrayRef<Source>() : it->second;
}

bool Notation::reads(F formula, Value value) const {
  SmallVector<F> stack{formula};
  llvm::SmallDenseSet<F> seen;
  while (!stack.empty()) {
    F f = stack.pop_back_val();
    if (!seen.insert(f).second)
      continue;
    if (f->value == value)
      return true;
    llvm::append_range(stack, f->operands);
  }
  return false;
}

void Notation::print(F f, raw_ostream &os) {
  switch (f->kind) {
  case Kind::Number:
    os << f->number;
    return;
  case Kind::Scalar:
    f->value.printAsOperand(os, OpPrintingFlags());
    return;
  case Kind::Read:
    f->value.printAsOperand(os, OpPrintingFlags());
    os << "[";
    llvm::interleaveComma(f->indices.getResults(), os);
    os << "]";
    return;
  case Kind::Sum:
    os << "sum_d" << f->variable << "<" << f->extent << "(";
    break;
  case Kind::Apply:
    os << f->name << "(";
    break;
  }
  llvm::interleaveComma(f->operands, os, [&](F o) { print(o, os); });
  os << ")";
}

//===----------------------------------------------------------------------===//
// From the IR
//===----------------------------------------------------------------------===//

/// The elements of a splat constant.
static std::optional<double> splatOf(Value value) {
  Attribute attribute;
  if (!matchPattern(value, m_Constant(&attribute)))
    return std::nullopt;
  if (auto scalar = dyn_cast<FloatAttr>(attribute))
    return scalar.getValueAsDouble();
  auto dense = dyn_cast<DenseElementsAttr>(attribute);
  if (!dense || !dense.isSplat() || !isa<FloatType>(dense.getElementType()))
    return std::nullopt;
  return dense.getSplatValue<FloatAttr>().getValueAsDouble();
}

F Notation::scalar(Value value) {
  Type type = formulaType(value.getType());
  if (!type || isa<ShapedType>(value.getType()))
    return nullptr;
  if (std::optional<double> known = splatOf(value))
    return number(*known, type);
  Operation *op = value.getDefiningOp();
  if (auto extract = dyn_cast_or_null<tensor::ExtractOp>(op)) {
    Indices indices;
    for (Value index : extract.getIndices())
      if (std::optional<int64_t> at = getConstantIntValue(index))
        indices.push_back(getAffineConstantExpr(*at, context));
    if (indices.size() == extract.getIndices().size())
      return element(extract.getTensor(), indices);
  }
  if (op && isPure(op) && op->hasTrait<OpTrait::Elementwise>() &&
      op->getNumResults() == 1 && depth < maxDepth && budget) {
    --budget;
    ++depth;
    SmallVector<F> operands;
    for (Value operand : op->getOperands())
      if (F f = scalar(operand); f && f->type == type)
        operands.push_back(f);
    --depth;
    if (!operands.empty() && operands.size() == op->getNumOperands())
      return apply(op->getName(), op->getAttrDictionary(), operands);
  }
  Formula formula(Kind::Scalar, type, noName(context));
  formula.value = value;
  return unique(formula);
}

F Notation::element(Value tensor) {
  return element(
      tensor, variables(cast<RankedTensorType>(tensor.getType()).getShape()));
}

F Notation::element(Value tensor, ArrayRef<AffineExpr> wanted) {
  auto type = cast<RankedTensorType>(tensor.getType());
  Indices indices(wanted);
  for (auto [index, size] : llvm::zip_equal(indices, type.getShape()))
    if (size == 1)
      index = zero();
  AffineMap map = mapOf(indices);
  auto [it, fresh] = known.try_emplace({tensor, map}, nullptr);
  if (!fresh && it->second)
    return it->second;
  F formula = nullptr;
  auto result = dyn_cast<OpResult>(tensor);
  if (std::optional<double> splat = splatOf(tensor)) {
    formula = number(*splat, formulaType(type));
  } else if (result && !barriers.contains(tensor) && depth < maxDepth &&
             budget) {
    --budget;
    ++depth;
    formula = look(result, indices);
    --depth;
  }
  if (!formula)
    formula = read(tensor, map);
  known[{tensor, map}] = formula;
  if (formula->kind != Kind::Number)
    origins[formula].push_back({tensor, map});
  return formula;
}

/// The indices of the reshaped tensor that are not of unit dimensions, put
/// where the other tensor has no unit dimension; none where the reshape does
/// more.
static std::optional<Indices>
dropUnits(RankedTensorType from, RankedTensorType to,
          ArrayRef<ReassociationIndices> groups, bool expands,
          ArrayRef<AffineExpr> indices, AffineExpr zero) {
  // `from` is what the indices are of. One of the two is the longer.
  RankedTensorType longer = expands ? from : to;
  Indices result(to.getRank(), zero);
  if (groups.empty()) { // every dimension is 1
    return longer.hasStaticShape() && longer.getNumElements() == 1
               ? std::optional<Indices>(result)
               : std::nullopt;
  }
  for (auto [shortDim, group] : llvm::enumerate(groups)) {
    std::optional<int64_t> only;
    for (int64_t d : group) {
      if (longer.getDimSize(d) == 1)
        continue;
      if (only)
        return std::nullopt;
      only = d;
    }
    if (only)
      (expands ? result[shortDim] : result[*only]) =
          expands ? indices[*only] : indices[shortDim];
  }
  return result;
}

F Notation::look(OpResult tensor, ArrayRef<AffineExpr> indices) {
  Operation *op = tensor.getOwner();
  auto type = cast<RankedTensorType>(tensor.getType());
  if (!formulaType(type))
    return nullptr;
  auto through = [&](Value source, std::optional<Indices> at) -> F {
    return at ? element(source, *at) : nullptr;
  };
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return through(expand.getSrc(), dropUnits(type, expand.getSrcType(),
                                              expand.getReassociationIndices(),
                                              true, indices, zero()));
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    return through(collapse.getSrc(),
                   dropUnits(type, collapse.getSrcType(),
                             collapse.getReassociationIndices(), false, indices,
                             zero()));
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return isa<RankedTensorType>(cast.getSource().getType())
               ? element(cast.getSource(), indices)
               : nullptr;
  if (auto splat = dyn_cast<tensor::SplatOp>(op))
    return scalar(splat.getInput());
  if (auto from = dyn_cast<tensor::FromElementsOp>(op))
    return from.getElements().size() == 1 ? scalar(from.getElements().front())
                                          : nullptr;
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    llvm::SmallBitVector dropped = slice.getDroppedDims();
    Indices at;
    unsigned next = 0;
    for (auto [d, offset, stride] :
         llvm::enumerate(slice.getMixedOffsets(), slice.getMixedStrides())) {
      std::optional<int64_t> from = getConstantIntValue(offset);
      if (!from || getConstantIntValue(stride) != 1)
        return nullptr;
      AffineExpr index = dropped.test(d) ? zero() : indices[next++];
      at.push_back(index + *from);
    }
    return element(slice.getSource(), at);
  }
  if (auto structured = dyn_cast<linalg::LinalgOp>(op))
    return lookLinalg(structured, tensor.getResultNumber(), indices);
  if (isPure(op) && OpTrait::hasElementwiseMappableTraits(op)) {
    SmallVector<F> operands;
    for (Value operand : op->getOperands()) {
      if (operand.getType() != type)
        return nullptr;
      operands.push_back(element(operand, indices));
    }
    return operands.empty()
               ? nullptr
               : apply(op->getName(), op->getAttrDictionary(), operands);
  }
  return nullptr;
}

F Notation::payload(Value value, Block *body, Arguments &computed,
                    llvm::function_ref<F(BlockArgument)> argument) {
  auto [it, fresh] = computed.try_emplace(value, nullptr);
  if (!fresh)
    return it->second;
  F formula = compute(value, body, computed, argument);
  return computed[value] = formula;
}

F Notation::compute(Value value, Block *body, Arguments &computed,
                    llvm::function_ref<F(BlockArgument)> argument) {
  if (!formulaType(value.getType()))
    return nullptr;
  if (auto blockArgument = dyn_cast<BlockArgument>(value))
    return blockArgument.getOwner() == body ? argument(blockArgument)
                                            : scalar(value);
  Operation *op = value.getDefiningOp();
  if (op->getBlock() != body || isa<arith::ConstantOp>(op))
    return scalar(value);
  if (!isPure(op) || op->getNumResults() != 1 || op->getNumRegions() ||
      op->getNumOperands() == 0 || depth >= maxDepth)
    return nullptr;
  SmallVector<F> operands;
  ++depth;
  for (Value operand : op->getOperands())
    operands.push_back(payload(operand, body, computed, argument));
  --depth;
  for (F operand : operands)
    if (!operand || operand->type != value.getType())
      return nullptr;
  if (isa<math::FmaOp>(op))
    return binary(Function::Add,
                  binary(Function::Mul, operands[0], operands[1]), operands[2]);
  return apply(op->getName(), op->getAttrDictionary(), operands);
}

/// x of `out + x`, where the accumulator is nowhere else; null otherwise.
static Value addend(Value yielded, BlockArgument out) {
  if (!out.hasOneUse())
    return {};
  auto add = yielded.getDefiningOp<arith::AddFOp>();
  if (!add)
    return {};
  return add.getLhs() == out   ? add.getRhs()
         : add.getRhs() == out ? add.getLhs()
                               : Value();
}

F Notation::lookLinalg(linalg::LinalgOp op, unsigned number,
                       ArrayRef<AffineExpr> indices) {
  if (!op.hasPureTensorSemantics() || op.getNumLoops() > 16)
    return nullptr;
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  SmallVector<utils::IteratorType> iterators = op.getIteratorTypesArray();
  // Which index each loop stands for; sums take variables that are free.
  Indices loops(op.getNumLoops());
  OpOperand *init = op.getDpsInitOperand(number);
  for (auto [expr, index] :
       llvm::zip_equal(op.getMatchingIndexingMap(init).getResults(), indices))
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      loops[dim.getPosition()] = index;
    else if (!isa<AffineConstantExpr>(expr))
      return nullptr;
  unsigned next = 0;
  for (AffineExpr index : indices)
    for (unsigned d = next; d < maxVariables; ++d)
      if (index.isFunctionOfDim(d))
        next = d + 1;
  SmallVector<std::pair<unsigned, int64_t>> sums;
  for (auto [d, loop] : llvm::enumerate(loops)) {
    bool reduces = iterators[d] == utils::IteratorType::reduction;
    if (ranges[d] == 1)
      loop = zero();
    else if (!loop && reduces && ranges[d] > 1 && next < maxVariables) {
      sums.push_back({next, ranges[d]});
      loop = variable(next++);
    } else if (!loop || reduces)
      return nullptr;
  }
  Block *body = op.getBlock();
  auto argument = [&](BlockArgument at) -> F {
    OpOperand *operand = op.getMatchingOpOperand(at);
    AffineMap map = op.getMatchingIndexingMap(operand);
    if (!isa<RankedTensorType>(operand->get().getType()))
      return scalar(operand->get());
    Indices inner;
    for (AffineExpr expr : map.getResults())
      inner.push_back(expr.replaceDims(loops));
    for (AffineExpr expr : inner) // a variable, a constant, or their sum
      if (auto sum = dyn_cast<AffineBinaryOpExpr>(expr);
          sum && (sum.getKind() != AffineExprKind::Add ||
                  !isa<AffineDimExpr>(sum.getLHS()) ||
                  !isa<AffineConstantExpr>(sum.getRHS())))
        return nullptr;
    return element(operand->get(), inner);
  };
  Arguments computed;
  Value yielded = body->getTerminator()->getOperand(number);
  if (op.getNumReductionLoops() == 0)
    return payload(yielded, body, computed, argument);
  BlockArgument out = op.getMatchingBlockArgument(init);
  Value term = addend(yielded, out);
  if (!term)
    return nullptr;
  F total = payload(term, body, computed, argument);
  for (auto [variable, extent] : llvm::reverse(sums))
    total = total ? sum(variable, extent, total) : nullptr;
  F start = argument(out);
  return total && start ? binary(Function::Add, start, total) : nullptr;
}

} // namespace lnn::raise
