//===- PackSynapses.cpp - sums over the synapses that exist ---------------===//
//
// A wiring arrives as weights of which most are zero. Such a sum over all
// neurons becomes one over the f-th synapse of each neuron, f below the largest
// number that any has, with the parameters packed in that order and the place
// of the neuron it comes from in a table:
//
//   y[n] += w[k, n] g(x[k], ...)   becomes   y[n] += w'[f, n] g(x[from[f, n]],
//   ...)
//
// The terms that are left out are zero, as a gate is finite; the others keep
// their order.
//
//===----------------------------------------------------------------------===//
#include "Fusion.h"
#include "LoopPlan.h"
#include "lnn/Dialect/Lnn/Lnn.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace lnn {

/// All of it becomes straight code: a limit on how much.
constexpr int64_t maxVectors = 256;
/// Packed lanes cost a shuffle more.
constexpr double worthwhile = 0.7;

namespace {
class SynapsePacker {
public:
  SynapsePacker(linalg::GenericOp op, RewriterBase &rewriter, int64_t lanes)
      : op(op), rewriter(rewriter), lanes(lanes) {}
  bool run();

private:
  bool findLoops();
  bool findWeights();
  bool findSources();
  bool findSynapses();
  bool isWorthwhile() const;
  struct Synapse {
    int64_t from, to;
  };
  Synapse synapse(int64_t neuron, int64_t f) const;
  Value packed(unsigned number);
  Value table();
  void rewrite();

  AffineMap mapOf(unsigned number) {
    return op.getMatchingIndexingMap(&op->getOpOperand(number));
  }

  linalg::GenericOp op;
  RewriterBase &rewriter;
  int64_t lanes;
  unsigned from = 0, to = 0; ///< the loops over neurons
  int64_t sources = 0, neurons = 0, fanIn = 0;
  llvm::SmallSetVector<unsigned, 4> weights, parameters, states; ///< operands
  SmallVector<SmallVector<int64_t>> synapses; ///< by neuron: where from
};
} // namespace

/// The element of a constant operand that loops `from` = k and `to` = n read.
static int64_t offsetOf(AffineMap map, ArrayRef<int64_t> shape, unsigned from,
                        int64_t k, unsigned to, int64_t n) {
  int64_t offset = 0;
  for (auto [expr, size] : llvm::zip(map.getResults(), shape)) {
    unsigned d = cast<AffineDimExpr>(expr).getPosition();
    offset = offset * size + (d == from ? k : n);
  }
  return offset;
}

bool SynapsePacker::findLoops() {
  if (op.getNumReductionLoops() != 1 || op.hasIndexSemantics())
    return false;
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  from = reductions.front();
  SmallVector<unsigned> constants; // their layout is ours
  for (OpOperand *input : op.getDpsInputOperands())
    if (floatConstant(input->get()))
      constants.push_back(input->getOperandNumber());
  std::optional<unsigned> lane = chooseVectorDim(op, lanes, constants);
  if (!lane)
    return false;
  to = *lane;
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  sources = extents[from];
  neurons = extents[to];
  return !ShapedType::isDynamic(sources) && !ShapedType::isDynamic(neurons);
}

/// Each result must be a sum of products of a gate and a weight.
bool SynapsePacker::findWeights() {
  Block &body = op.getRegion().front();
  for (auto [argument, value] : llvm::zip(
           op.getRegionOutputArgs(), body.getTerminator()->getOperands())) {
    GateOp gate;
    Value weight;
    if (!findGatedTerm(argument, value, gate, weight))
      return false;
    auto input = dyn_cast<BlockArgument>(weight);
    if (!input || input.getOwner() != &body)
      return false;
    unsigned number = input.getArgNumber();
    if (number >= unsigned(op.getNumDpsInputs()) ||
        !floatConstant(op->getOperand(number)))
      return false;
    weights.insert(number);
  }
  return true;
}

/// What varies with the synapse must be a constant, or be read by where the
/// synapse comes from alone.
bool SynapsePacker::findSources() {
  for (OpOperand *input : op.getDpsInputOperands()) {
    unsigned number = input->getOperandNumber();
    AffineMap map = mapOf(number);
    if (!map.isFunctionOfDim(from))
      continue;
    bool onlyNeurons = map.isProjectedPermutation();
    for (unsigned d = 0; d < map.getNumDims(); ++d)
      onlyNeurons &= d == from || d == to || !map.isFunctionOfDim(d);
    if (floatConstant(input->get()) && onlyNeurons) {
      parameters.insert(number);
      continue;
    }
    if (map.isFunctionOfDim(to) ||
        !isa<RankedTensorType>(input->get().getType()))
      return false;
    for (AffineExpr expr : map.getResults())
      if (!isa<AffineDimExpr, AffineConstantExpr>(expr))
        return false;
    states.insert(number);
  }
  for (unsigned weight : weights)
    if (!parameters.contains(weight) || !mapOf(weight).isFunctionOfDim(to))
      return false;
  return !states.empty();
}

bool SynapsePacker::findSynapses() {
  synapses.resize(neurons);
  for (int64_t n = 0; n < neurons; ++n) {
    for (int64_t k = 0; k < sources; ++k) {
      bool exists = llvm::any_of(weights, [&](unsigned number) {
        DenseElementsAttr elements = floatConstant(op->getOperand(number));
        int64_t at = offsetOf(mapOf(number), elements.getType().getShape(),
                              from, k, to, n);
        return !(*(elements.value_begin<APFloat>() + at)).isZero();
      });
      if (exists)
        synapses[n].push_back(k);
    }
    fanIn = std::max<int64_t>(fanIn, synapses[n].size());
  }
  return fanIn > 0;
}

bool SynapsePacker::isWorthwhile() const {
  int64_t vectors = 0, dense = llvm::divideCeil(neurons, lanes) * sources,
          nonzero = 0;
  for (const SmallVector<int64_t> &mine : synapses)
    nonzero += mine.size();
  if (!isMostlyZero(nonzero, sources * neurons))
    return false;
  for (int64_t n = 0; n < neurons; n += lanes) {
    size_t largest = 0;
    for (int64_t i = n; i < std::min(neurons, n + lanes); ++i)
      largest = std::max(largest, synapses[i].size());
    vectors += largest;
  }
  return vectors <= maxVectors && vectors <= worthwhile * dense;
}

/// The f-th synapse of a neuron. What stands for one that it lacks, with
/// weights of 0, is its last one, or another neuron's: the gate of a synapse
/// that exists is finite for every state.
SynapsePacker::Synapse SynapsePacker::synapse(int64_t neuron, int64_t f) const {
  ArrayRef<int64_t> mine = synapses[neuron];
  if (!mine.empty())
    return {mine[std::min<int64_t>(f, mine.size() - 1)], neuron};
  auto other = llvm::find_if(
      synapses, [](const SmallVector<int64_t> &s) { return !s.empty(); });
  return {other->front(), other - synapses.begin()};
}

/// A parameter by the f-th synapse of each neuron; a weight is 0 where there is
/// none.
Value SynapsePacker::packed(unsigned number) {
  Value operand = op->getOperand(number);
  DenseElementsAttr elements = floatConstant(operand);
  Type element = elements.getElementType();
  APFloat zero = APFloat::getZero(cast<FloatType>(element).getFloatSemantics());
  std::vector<APFloat> values(fanIn * neurons, zero);
  bool isWeight = weights.contains(number);
  for (int64_t n = 0; n < neurons; ++n)
    for (int64_t f = 0; f < fanIn; ++f) {
      if (isWeight && f >= int64_t(synapses[n].size()))
        continue;
      Synapse of = synapse(n, f);
      int64_t at = offsetOf(mapOf(number), elements.getType().getShape(), from,
                            of.from, to, of.to);
      values[f * neurons + n] = *(elements.value_begin<APFloat>() + at);
    }
  auto type = RankedTensorType::get({fanIn, neurons}, element);
  return arith::ConstantOp::create(rewriter, op.getLoc(), type,
                                   DenseElementsAttr::get(type, values));
}

/// Where the f-th synapse of each neuron comes from.
Value SynapsePacker::table() {
  std::vector<int32_t> values(fanIn * neurons);
  for (int64_t n = 0; n < neurons; ++n)
    for (int64_t f = 0; f < fanIn; ++f)
      values[f * neurons + n] = synapse(n, f).from;
  auto type = RankedTensorType::get({fanIn, neurons}, rewriter.getI32Type());
  return arith::ConstantOp::create(
      rewriter, op.getLoc(), type,
      DenseElementsAttr::get(type, ArrayRef<int32_t>(values)));
}

void SynapsePacker::rewrite() {
  rewriter.setInsertionPoint(op);
  Location loc = op.getLoc();
  unsigned loops = op.getNumLoops();
  AffineMap packedMap = AffineMap::get(
      loops, 0,
      {rewriter.getAffineDimExpr(from), rewriter.getAffineDimExpr(to)},
      rewriter.getContext());
  SmallVector<Value> inputs{table()};
  SmallVector<AffineMap> maps{packedMap};
  SmallVector<unsigned> kept; // the old operands of the other inputs
  SmallVector<int64_t> weightNumbers;
  for (OpOperand *input : op.getDpsInputOperands()) {
    unsigned number = input->getOperandNumber();
    if (states.contains(number))
      continue;
    if (weights.contains(number))
      weightNumbers.push_back(inputs.size());
    bool isParameter = parameters.contains(number);
    inputs.push_back(isParameter ? packed(number) : input->get());
    maps.push_back(isParameter ? packedMap : mapOf(number));
    kept.push_back(number);
  }
  for (OpOperand &output : op.getDpsInitsMutable())
    maps.push_back(op.getMatchingIndexingMap(&output));
  auto made = linalg::GenericOp::create(
      rewriter, loc, op.getResultTypes(), inputs, op.getOutputs(), maps,
      op.getIteratorTypesArray(),
      [&](OpBuilder &b, Location, ValueRange arguments) {
        Block &body = op.getRegion().front();
        IRMapping mapping;
        Value place =
            arith::IndexCastOp::create(b, loc, b.getIndexType(), arguments[0]);
        for (unsigned number : states) {
          SmallVector<Value> at;
          for (AffineExpr expr : mapOf(number).getResults()) {
            if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
              at.push_back(
                  arith::ConstantIndexOp::create(b, loc, constant.getValue()));
              continue;
            }
            unsigned d = cast<AffineDimExpr>(expr).getPosition();
            at.push_back(d == from ? place
                                   : linalg::IndexOp::create(b, loc, d));
          }
          mapping.map(
              body.getArgument(number),
              tensor::ExtractOp::create(b, loc, op->getOperand(number), at));
        }
        for (auto [i, number] : llvm::enumerate(kept))
          mapping.map(body.getArgument(number), arguments[1 + i]);
        mapping.map(op.getRegionOutputArgs(),
                    arguments.drop_front(inputs.size()));
        for (Operation &inner : body)
          b.clone(inner, mapping);
      });
  made->setAttr(sparseWeights, rewriter.getDenseI64ArrayAttr(weightNumbers));
  rewriter.replaceOp(op, made.getResults());
}

bool SynapsePacker::run() {
  if (!findLoops() || !findWeights() || !findSources() || !findSynapses() ||
      !isWorthwhile())
    return false;
  rewrite();
  return true;
}

unsigned packSynapses(func::FuncOp function, RewriterBase &rewriter,
                      int64_t lanes) {
  SmallVector<linalg::GenericOp> ops;
  function.walk([&](linalg::GenericOp op) {
    if (op.hasPureTensorSemantics())
      ops.push_back(op);
  });
  unsigned packed = 0;
  for (linalg::GenericOp op : ops)
    packed += SynapsePacker(op, rewriter, lanes).run();
  return packed;
}

} // namespace lnn
