//===- Scan.cpp - lnn.scan: text, verifier, interfaces, canonicalization --===//
#include "lnn/Dialect/Lnn/Lnn.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace lnn;

static lnn::YieldOp yieldOf(ScanOp scan) {
  return cast<lnn::YieldOp>(scan.getBody().front().getTerminator());
}

RankedTensorType ScanOp::sliceType(RankedTensorType type, int64_t dim) {
  SmallVector<int64_t> shape(type.getShape());
  shape.erase(shape.begin() + dim);
  return RankedTensorType::get(shape, type.getElementType());
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

/// `dim 1 reverse`
static ParseResult parseAxis(OpAsmParser &parser,
                             SmallVectorImpl<int64_t> &dims,
                             SmallVectorImpl<bool> &reverse) {
  if (parser.parseKeyword("dim") || parser.parseInteger(dims.emplace_back()))
    return failure();
  reverse.push_back(succeeded(parser.parseOptionalKeyword("reverse")));
  return success();
}

ParseResult ScanOp::parse(OpAsmParser &parser, OperationState &result) {
  using Unresolved = OpAsmParser::UnresolvedOperand;
  Builder b(parser.getContext());
  SmallVector<OpAsmParser::Argument> arguments(1);
  Unresolved length;
  SmallVector<Unresolved> inputs, inits;
  SmallVector<int64_t> dims, outDims;
  SmallVector<bool> reverse, outReverse;
  if (parser.parseArgument(arguments[0]) || parser.parseKeyword("of") ||
      parser.parseOperand(length))
    return failure();
  arguments[0].type = b.getIndexType();
  auto parseInput = [&]() -> ParseResult {
    return failure(parser.parseArgument(arguments.emplace_back()) ||
                   parser.parseEqual() ||
                   parser.parseOperand(inputs.emplace_back()) ||
                   parseAxis(parser, dims, reverse));
  };
  auto parseState = [&]() -> ParseResult {
    return failure(parser.parseArgument(arguments.emplace_back()) ||
                   parser.parseEqual() ||
                   parser.parseOperand(inits.emplace_back()));
  };
  constexpr auto paren = OpAsmParser::Delimiter::Paren;
  if (succeeded(parser.parseOptionalKeyword("over")) &&
      parser.parseCommaSeparatedList(paren, parseInput))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("carrying")) &&
      parser.parseCommaSeparatedList(paren, parseState))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("stacking")) &&
      parser.parseCommaSeparatedList(
          paren, [&] { return parseAxis(parser, outDims, outReverse); }))
    return failure();
  FunctionType type;
  SMLoc place;
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseColon() || parser.getCurrentLocation(&place) ||
      parser.parseType(type))
    return failure();
  if (type.getNumInputs() != inputs.size() + inits.size())
    return parser.emitError(place)
           << "expected types of " << inputs.size() << " inputs and "
           << inits.size() << " states, found " << type.getNumInputs()
           << " types";
  for (auto [i, t] : llvm::enumerate(type.getInputs())) {
    arguments[1 + i].type = t;
    if (i >= inputs.size())
      continue;
    auto tensor = dyn_cast<RankedTensorType>(t);
    if (!tensor || dims[i] < 0 || dims[i] >= tensor.getRank())
      return parser.emitError(place) << "input " << i << " has no dimension "
                                     << dims[i] << ", it is " << t;
    arguments[1 + i].type = sliceType(tensor, dims[i]);
  }
  if (parser.resolveOperand(length, b.getIndexType(), result.operands) ||
      parser.resolveOperands(inputs, type.getInputs().take_front(inputs.size()),
                             place, result.operands) ||
      parser.resolveOperands(inits, type.getInputs().drop_front(inputs.size()),
                             place, result.operands))
    return failure();
  result.addTypes(type.getResults());
  auto &properties = result.getOrAddProperties<Properties>();
  properties.dims = b.getDenseI64ArrayAttr(dims);
  properties.reverse = b.getDenseBoolArrayAttr(reverse);
  properties.out_dims = b.getDenseI64ArrayAttr(outDims);
  properties.out_reverse = b.getDenseBoolArrayAttr(outReverse);
  properties.operandSegmentSizes = {1, static_cast<int32_t>(inputs.size()),
                                    static_cast<int32_t>(inits.size())};
  Region *body = result.addRegion();
  if (parser.parseRegion(*body, arguments))
    return failure();
  if (body->front().empty() || !isa<lnn::YieldOp>(body->front().back()))
    ensureTerminator(*body, parser.getBuilder(), result.location);
  return success();
}

void ScanOp::print(OpAsmPrinter &p) {
  auto axis = [&](int64_t dim, bool reverse) {
    p << "dim " << dim << (reverse ? " reverse" : "");
  };
  p << ' ';
  p.printRegionArgument(getStep(), {}, /*omitType=*/true);
  p << " of " << getLength();
  auto list = [&](StringRef keyword, size_t count,
                  function_ref<void(size_t)> one) {
    if (count == 0)
      return;
    p << ' ' << keyword << " (";
    llvm::interleaveComma(llvm::seq<size_t>(0, count), p, one);
    p << ')';
  };
  list("over", getInputs().size(), [&](size_t i) {
    p << getSlices()[i] << " = " << getInputs()[i] << ' ';
    axis(getDims()[i], getReverse()[i]);
  });
  list("carrying", getInits().size(),
       [&](size_t i) { p << getStates()[i] << " = " << getInits()[i]; });
  list("stacking", getNumOutputs(),
       [&](size_t i) { axis(getOutDims()[i], getOutReverse()[i]); });
  p.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(),
      {"dims", "reverse", "out_dims", "out_reverse", "operandSegmentSizes"});
  p << " : ";
  p.printFunctionalType(getOperands().drop_front().getTypes(),
                        getResultTypes());
  p << ' ';
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

//===----------------------------------------------------------------------===//
// Verifier
//===----------------------------------------------------------------------===//

LogicalResult ScanOp::verify() {
  // C1
  if (getDims().size() != getInputs().size() ||
      getReverse().size() != getInputs().size())
    return emitOpError() << "has " << getInputs().size()
                         << " inputs, but dims for " << getDims().size()
                         << " and reverse for " << getReverse().size();
  if (getOutDims().size() != getOutReverse().size() ||
      getNumOutputs() + getInits().size() != getNumResults())
    return emitOpError() << "has " << getNumResults() << " results for "
                         << getOutDims().size() << " outputs ("
                         << getOutReverse().size() << " directions) and "
                         << getInits().size() << " states";
  int64_t steps =
      getConstantIntValue(getLength()).value_or(ShapedType::kDynamic);
  if (!ShapedType::isDynamic(steps) && steps < 0)
    return emitOpError() << "'length' is " << steps
                         << "; it must not be negative";
  for (auto [i, input] : llvm::enumerate(getInputs())) {
    auto type = cast<RankedTensorType>(input.getType());
    int64_t dim = getDims()[i];
    if (dim < 0 || dim >= type.getRank())
      return emitOpError() << "input " << i << " has no dimension " << dim
                           << ", it is " << type;
    int64_t size = type.getDimSize(dim);
    if (ShapedType::isDynamic(size))
      continue;
    if (!ShapedType::isDynamic(steps) && size != steps)
      return emitOpError() << "input " << i << " has " << size << " steps, "
                           << steps << " were expected";
    steps = size;
  }
  // C3
  for (unsigned i = 0; i < getNumOutputs(); ++i) {
    auto type = dyn_cast<RankedTensorType>(getResult(i).getType());
    int64_t dim = getOutDims()[i];
    if (!type || dim < 0 || dim >= type.getRank())
      return emitOpError() << "output " << i << " has no dimension " << dim
                           << ", it is " << getResult(i).getType();
  }
  for (auto [i, init] : llvm::enumerate(getInits()))
    if (init.getType() != getResult(getNumOutputs() + i).getType())
      return emitOpError() << "state " << i << " starts as " << init.getType()
                           << ", but its last value is "
                           << getResult(getNumOutputs() + i).getType();
  return success();
}

LogicalResult ScanOp::verifyRegions() {
  Block &body = getBody().front();
  // C2
  SmallVector<Type> wanted{IndexType::get(getContext())};
  for (auto [input, dim] : llvm::zip_equal(getInputs(), getDims()))
    wanted.push_back(sliceType(cast<RankedTensorType>(input.getType()), dim));
  llvm::append_range(wanted, getInits().getTypes());
  if (body.getNumArguments() != wanted.size())
    return emitOpError() << "its body takes " << body.getNumArguments()
                         << " arguments, " << wanted.size() << " were expected";
  for (auto [i, type] : llvm::enumerate(wanted))
    if (body.getArgument(i).getType() != type)
      return emitOpError() << "argument " << i << " of its body must be "
                           << type << ", found "
                           << body.getArgument(i).getType();
  // C3
  auto yield = yieldOf(*this);
  if (yield.getOutputs().size() != getNumOutputs() ||
      yield.getStates().size() != getInits().size())
    return yield.emitOpError()
           << "yields " << yield.getOutputs().size() << " outputs and "
           << yield.getStates().size() << " states, " << getNumOutputs()
           << " and " << getInits().size() << " were expected";
  for (auto [i, output] : llvm::enumerate(yield.getOutputs())) {
    auto whole = cast<RankedTensorType>(getResult(i).getType());
    auto type = dyn_cast<RankedTensorType>(output.getType());
    RankedTensorType part = sliceType(whole, getOutDims()[i]);
    if (!type || type.getElementType() != part.getElementType() ||
        failed(verifyCompatibleShape(type, part)))
      return yield.emitOpError() << "output " << i << " must be " << part
                                 << ", found " << output.getType();
  }
  for (auto [i, pair] :
       llvm::enumerate(llvm::zip_equal(yield.getStates(), getInits())))
    if (auto [next, init] = pair; next.getType() != init.getType())
      return yield.emitOpError()
             << "state " << i << " must be " << init.getType() << ", found "
             << next.getType();
  return success();
}

//===----------------------------------------------------------------------===//
// Interfaces
//===----------------------------------------------------------------------===//

SmallVector<Region *> ScanOp::getLoopRegions() { return {&getBody()}; }
// The interface's verifier runs before ours: the body may have any arguments.
Block::BlockArgListType ScanOp::getRegionIterArgs() {
  Block::BlockArgListType all = getBody().getArguments();
  return all.drop_front(std::min(all.size(), 1 + getInputs().size()));
}
std::optional<MutableArrayRef<OpOperand>> ScanOp::getYieldedValuesMutable() {
  return yieldOf(*this).getStatesMutable();
}
std::optional<ResultRange> ScanOp::getLoopResults() {
  return getResults().drop_front(getNumOutputs());
}

OperandRange ScanOp::getEntrySuccessorOperands(RegionSuccessor) {
  return getInits();
}

void ScanOp::getSuccessorRegions(RegionBranchPoint,
                                 SmallVectorImpl<RegionSuccessor> &regions) {
  // Only states flow along; slices and stacked outputs are made by the scan.
  regions.emplace_back(&getBody(), getRegionIterArgs());
  regions.emplace_back(getOperation(),
                       getResults().drop_front(getNumOutputs()));
}

MutableOperandRange lnn::YieldOp::getMutableSuccessorOperands(RegionSuccessor) {
  return getStatesMutable();
}

//===----------------------------------------------------------------------===//
// Canonicalization
//===----------------------------------------------------------------------===//

namespace {
/// Which parts of a scan are needed.
struct Needed {
  llvm::BitVector inputs, outputs, states;
  bool all() const { return inputs.all() && outputs.all() && states.all(); }
};

/// Finds what the results that are used, and side effects, depend on: a state
/// that only feeds itself is not needed.
class Liveness {
public:
  explicit Liveness(ScanOp scan)
      : scan(scan), body(scan.getBody().front()), yield(yieldOf(scan)) {}
  Needed run();

private:
  ScanOp scan;
  Block &body;
  lnn::YieldOp yield;
  DenseSet<Operation *> visited;
  SmallVector<Value> work;
  Needed needed;

  void needOp(Operation *op) {
    if (!visited.insert(op).second)
      return;
    op->walk([&](Operation *inner) {
      llvm::append_range(work, inner->getOperands());
    });
  }
  void needState(unsigned i) {
    if (!needed.states.test(i)) {
      needed.states.set(i);
      work.push_back(yield.getStates()[i]);
    }
  }
};

Needed Liveness::run() {
  unsigned inputs = scan.getInputs().size(), outputs = scan.getNumOutputs();
  needed.inputs.resize(inputs);
  needed.outputs.resize(outputs);
  needed.states.resize(scan.getInits().size());
  for (Operation &op : body.without_terminator())
    if (!isMemoryEffectFree(&op))
      needOp(&op);
  for (auto [i, result] : llvm::enumerate(scan.getResults())) {
    if (result.use_empty())
      continue;
    if (i >= outputs) {
      needState(i - outputs);
      continue;
    }
    needed.outputs.set(i);
    work.push_back(yield.getOutputs()[i]);
  }
  while (!work.empty()) {
    Value value = work.pop_back_val();
    auto argument = dyn_cast<BlockArgument>(value);
    if (argument && argument.getOwner() == &body) {
      unsigned number = argument.getArgNumber();
      if (number > inputs)
        needState(number - 1 - inputs);
      else if (number > 0)
        needed.inputs.set(number - 1);
    } else if (Operation *op = value.getDefiningOp()) {
      if (Operation *mine = body.findAncestorOpInBlock(*op))
        needOp(mine);
    }
  }
  return needed;
}

/// Removes inputs that aren't read, outputs that aren't used, and states that
/// nothing used depends on.
struct DropUnneeded : OpRewritePattern<ScanOp> {
  using OpRewritePattern::OpRewritePattern;

  template <typename T>
  static SmallVector<T> kept(ArrayRef<T> all, const llvm::BitVector &needed) {
    SmallVector<T> result;
    for (unsigned i : needed.set_bits())
      result.push_back(all[i]);
    return result;
  }
  static SmallVector<Value> kept(ValueRange all,
                                 const llvm::BitVector &needed) {
    return kept<Value>(SmallVector<Value>(all), needed);
  }

  LogicalResult matchAndRewrite(ScanOp scan,
                                PatternRewriter &rewriter) const override {
    Needed needed = Liveness(scan).run();
    if (needed.all())
      return failure();
    auto yield = yieldOf(scan);
    llvm::BitVector results = needed.outputs;
    results.resize(scan.getNumResults());
    for (unsigned i : needed.states.set_bits())
      results.set(scan.getNumOutputs() + i);
    SmallVector<Value> old = kept(scan.getResults(), results);
    auto next =
        ScanOp::create(rewriter, scan.getLoc(), ValueRange(old).getTypes(),
                       scan.getLength(), kept(scan.getInputs(), needed.inputs),
                       kept(scan.getInits(), needed.states),
                       kept(scan.getDims(), needed.inputs),
                       kept(scan.getReverse(), needed.inputs),
                       kept(scan.getOutDims(), needed.outputs),
                       kept(scan.getOutReverse(), needed.outputs));
    next->setDiscardableAttrs(scan->getDiscardableAttrDictionary());
    rewriter.setInsertionPoint(yield);
    lnn::YieldOp::create(rewriter, yield.getLoc(),
                         kept(yield.getOutputs(), needed.outputs),
                         kept(yield.getStates(), needed.states));
    rewriter.eraseOp(yield);
    Block &body = scan.getBody().front();
    // What isn't needed is read by dead operations alone.
    SmallVector<Operation *> ops = llvm::map_to_vector(
        body.without_terminator(), [](Operation &op) { return &op; });
    for (Operation *op : llvm::reverse(ops))
      if (op->use_empty() && isMemoryEffectFree(op))
        rewriter.eraseOp(op);
    unsigned inputs = needed.inputs.size();
    for (unsigned i = body.getNumArguments(); i-- > 1;)
      if (!(i > inputs ? needed.states.test(i - 1 - inputs)
                       : needed.inputs.test(i - 1)))
        body.eraseArgument(i);
    rewriter.inlineRegionBefore(scan.getBody(), next.getBody(),
                                next.getBody().end());
    for (auto [from, to] : llvm::zip_equal(old, next.getResults()))
      rewriter.replaceAllUsesWith(from, to);
    rewriter.eraseOp(scan);
    return success();
  }
};

/// A state that the body yields as it got it is a value from outside.
struct ForwardInvariant : OpRewritePattern<ScanOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ScanOp scan,
                                PatternRewriter &rewriter) const override {
    auto yield = yieldOf(scan);
    bool changed = false;
    for (auto [i, state] : llvm::enumerate(scan.getStates())) {
      Value result = scan.getResult(scan.getNumOutputs() + i),
            init = scan.getInits()[i];
      if (yield.getStates()[i] != state)
        continue;
      bool read = llvm::any_of(state.getUsers(),
                               [&](Operation *user) {
                                 return user != yield.getOperation();
                               }) ||
                  llvm::is_contained(yield.getOutputs(), state);
      if (!read && result.use_empty())
        continue;
      rewriter.replaceAllUsesWith(state, init);
      rewriter.replaceAllUsesWith(result, init);
      // Kept as a state that yields itself: DropUnneeded takes it away.
      rewriter.modifyOpInPlace(yield, [&, i = i, state = state] {
        yield.getStatesMutable()[i].set(state);
      });
      changed = true;
    }
    return success(changed);
  }
};

/// An input of which all elements are one number is that number in each step.
struct ForwardRepeated : OpRewritePattern<ScanOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ScanOp scan,
                                PatternRewriter &rewriter) const override {
    bool changed = false;
    Block &body = scan.getBody().front();
    for (auto [i, input] : llvm::enumerate(scan.getInputs())) {
      Value argument = body.getArgument(1 + i);
      auto type = dyn_cast<RankedTensorType>(argument.getType());
      DenseElementsAttr elements;
      if (argument.use_empty() || !type || !type.hasStaticShape() ||
          !matchPattern(input, m_Constant(&elements)) || !elements.isSplat())
        continue;
      rewriter.setInsertionPointToStart(&body);
      rewriter.replaceAllUsesWith(
          argument, arith::ConstantOp::create(rewriter, scan.getLoc(),
                                              elements.resizeSplat(type)));
      changed = true;
    }
    return success(changed);
  }
};

/// A scan of one step is its body.
struct InlineSingleStep : OpRewritePattern<ScanOp> {
  using OpRewritePattern::OpRewritePattern;

  static Value slice(PatternRewriter &b, Location loc, Value input, int64_t dim,
                     Type type) {
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, input),
                              offsets(sizes.size(), b.getIndexAttr(0)),
                              strides(sizes.size(), b.getIndexAttr(1));
    sizes[dim] = b.getIndexAttr(1);
    return tensor::ExtractSliceOp::create(b, loc, cast<RankedTensorType>(type),
                                          input, offsets, sizes, strides);
  }

  /// The value with a dimension of one step added.
  static Value stack(PatternRewriter &b, Location loc, Value part, int64_t dim,
                     RankedTensorType whole) {
    auto type = cast<RankedTensorType>(part.getType());
    SmallVector<int64_t> shape(type.getShape());
    shape.insert(shape.begin() + dim, 1);
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, part);
    sizes.insert(sizes.begin() + dim, b.getIndexAttr(1));
    SmallVector<ReassociationIndices> groups;
    for (int64_t i = 0; i < type.getRank(); ++i)
      groups.push_back({i < dim ? i : i + 1});
    if (!groups.empty())
      groups[dim == 0 ? 0 : dim - 1].insert(
          dim == 0 ? groups[0].begin() : groups[dim - 1].end(), dim);
    Value stacked = tensor::ExpandShapeOp::create(
        b, loc, RankedTensorType::get(shape, type.getElementType()), part,
        groups, sizes);
    if (stacked.getType() != whole)
      stacked = tensor::CastOp::create(b, loc, whole, stacked);
    return stacked;
  }

  LogicalResult matchAndRewrite(ScanOp scan,
                                PatternRewriter &rewriter) const override {
    if (getConstantIntValue(scan.getLength()) != 1)
      return failure();
    Location loc = scan.getLoc();
    SmallVector<Value> arguments{scan.getLength()}, results;
    // Of one step: in a longer input, step 0 is not the last where it is read
    // from the end.
    for (auto [i, input] : llvm::enumerate(scan.getInputs()))
      arguments.push_back(slice(rewriter, loc, input, scan.getDims()[i],
                                scan.getSlices()[i].getType()));
    arguments[0] = arith::ConstantIndexOp::create(rewriter, loc, 0);
    llvm::append_range(arguments, scan.getInits());
    auto yield = yieldOf(scan);
    rewriter.inlineBlockBefore(&scan.getBody().front(), scan, arguments);
    rewriter.setInsertionPoint(scan);
    for (auto [i, output] : llvm::enumerate(yield.getOutputs()))
      results.push_back(
          stack(rewriter, loc, output, scan.getOutDims()[i],
                cast<RankedTensorType>(scan.getResult(i).getType())));
    llvm::append_range(results, yield.getStates());
    rewriter.eraseOp(yield);
    rewriter.replaceOp(scan, results);
    return success();
  }
};
} // namespace

void ScanOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                         MLIRContext *context) {
  patterns
      .add<DropUnneeded, ForwardInvariant, ForwardRepeated, InlineSingleStep>(
          context);
}
