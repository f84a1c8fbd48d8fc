//===- OpsAttention.cpp - attention and what goes with it -----------------===//
//
// Attention, RotaryEmbedding, LinearAttention and CausalConvWithState, written
// as graphs of other operators.
//
//===----------------------------------------------------------------------===//
#include "OpCompose.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

/// whole / parts, or null with an error that says what was to be divided.
Dim divided(Composer &g, Dim whole, int64_t parts, StringRef what) {
  if (!whole)
    return {};
  if (parts >= 1)
    if (auto exact =
            divide(productOf(whole), productOf(g.dims.constant(parts))))
      return toDim(g.dims, *exact);
  (void)g.error(what + " " + whole.str() + " is not a multiple of " +
                Twine(parts));
  return {};
}

LogicalResult requireFloat(Composer &g,
                           std::initializer_list<unsigned> inputs) {
  for (unsigned i : inputs)
    if (g.hasInput(i) && !isFloat(g.inInfo(i).elementType))
      return g.error("input " + Twine(i) + " must be a float tensor; found " +
                     g.inInfo(i).str());
  return success();
}

LogicalResult requireRank(Composer &g, unsigned i, int64_t rank) {
  if (!g.hasInput(i) || g.inInfo(i).rank() == rank)
    return success();
  return g.error("input " + Twine(i) + " must have rank " + Twine(rank) +
                 "; found " + g.inInfo(i).str());
}

/// (batch, time, heads * size) as (batch, heads, time, size).
Value splitHeads(Composer &g, Value x, int64_t heads) {
  Dim size = divided(g, g.dim(x, 2), heads, "the hidden size");
  if (!size)
    return {};
  x = g.reshape(x, {g.dim(x, 0), g.dim(x, 1), g.dims.constant(heads), size});
  return g.transpose(x, {0, 2, 1, 3});
}

/// 0 .. n-1, with another dimension at the end or at the beginning.
Value positions(Composer &g, Dim n, int64_t axis) {
  Value v = g.node(
      "Range", {g.integer(0), g.node("Squeeze", {g.sizes({n})}), g.integer(1)});
  return g.unsqueeze(v, {axis});
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// What Attention adds to the scores, as a sum of masks.
class Bias {
public:
  Bias(Composer &g, Type type, Dim q, Dim kv)
      : g(g), type(type), q(q), kv(kv) {}

  void addMask(Value mask);
  void addWindow(bool causal, int64_t left, int64_t right, Value offset);
  void addPadding(Value lengths);
  Value value; ///< null where nothing is added

private:
  Composer &g;
  Type type;
  Dim q, kv;
  void add(Value v) { value = value ? g.add(value, v) : v; }
  void addAllowed(Value allowed) {
    add(g.node("Where",
               {allowed, g.number(0, type), g.number(-INFINITY, type)}));
  }
};

/// A bool mask says what takes part, a float mask is added; what it is too
/// short for takes no part.
void Bias::addMask(Value mask) {
  Dim have = g.dim(mask, -1);
  if (have && have != kv) {
    SmallVector<Dim> pads(2 * g.rank(mask), g.dims.constant(0));
    pads.back() = subDims(g.dims, kv, have);
    bool boolean = isBool(g.type(mask));
    Value fill = g.number(boolean ? 0 : -INFINITY, g.type(mask));
    mask = g.node("Pad", {mask, g.sizes(pads), fill});
  }
  if (g.ok() && isBool(g.type(mask)))
    addAllowed(mask);
  else
    add(mask);
}

/// Key j is seen from query i at p = offset + i where p - left <= j <= p +
/// right.
void Bias::addWindow(bool causal, int64_t left, int64_t right, Value offset) {
  if (causal)
    right = 0;
  if (left < 0 && right < 0)
    return;
  Value p = positions(g, q, 1), j = positions(g, kv, 0);
  if (offset)
    p = g.add(p, offset);
  Value ahead = g.sub(j, p), allowed;
  if (right >= 0)
    allowed = g.node("LessOrEqual", {ahead, g.integer(right)});
  if (left >= 0) {
    Value near = g.node("GreaterOrEqual", {ahead, g.integer(-left)});
    allowed = allowed ? g.node("And", {allowed, near}) : near;
  }
  addAllowed(allowed);
}

void Bias::addPadding(Value lengths) {
  Value j = positions(g, kv, 0);
  addAllowed(g.node("Less", {j, g.unsqueeze(lengths, {1, 2, 3})}));
}

/// a * b over (batch, heads, ...), where b may have fewer heads: each is then
/// shared by a group of a's.
Value groupedMatMul(Composer &g, Value a, Value b) {
  Dim heads = g.dim(a, 1), shared = g.dim(b, 1);
  if (!g.ok() || heads == shared)
    return g.node("MatMul", {a, b});
  auto group = divide(productOf(heads), productOf(shared));
  if (!group) {
    (void)g.error(heads.str() + " query heads cannot share " + shared.str() +
                  " key and value heads");
    return {};
  }
  a = g.reshape(a, {g.dim(a, 0), shared, toDim(g.dims, *group), g.dim(a, 2),
                    g.dim(a, 3)});
  Value r = g.node("MatMul", {a, g.unsqueeze(b, {2})});
  return g.reshape(r, {g.dim(r, 0), heads, g.dim(r, 3), g.dim(r, 4)});
}

Value times(Composer &g, Value v, double factor) {
  return factor == 1 ? v : g.mul(v, g.number(factor, g.type(v)));
}

LogicalResult checkAttention(Composer &g) {
  int64_t rank = g.inInfo(0).rank();
  if (rank != 3 && rank != 4)
    return g.error("Q, K and V must have rank 3 or 4; found " +
                   g.inInfo(0).str());
  if (failed(requireFloat(g, {0, 1, 2, 4, 5})) ||
      failed(requireRank(g, 1, rank)) || failed(requireRank(g, 2, rank)) ||
      failed(requireRank(g, 4, 4)) || failed(requireRank(g, 5, 4)) ||
      failed(requireRank(g, 6, 1)))
    return failure();
  if (rank == 3 && (!g.hasAttr("q_num_heads") || !g.hasAttr("kv_num_heads")))
    return g.error("q_num_heads and kv_num_heads must be given for inputs of "
                   "rank 3");
  if (g.hasInput(4) != g.hasInput(5))
    return g.error("past_key and past_value must be given together");
  if (g.hasInput(4) && g.hasInput(6))
    return g.error("nonpad_kv_seqlen does not go with past_key");
  if (g.intAttr("left_window_size", -1) < -1 ||
      g.intAttr("right_window_size", -1) < -1)
    return g.error("a window's size must be -1 or more");
  int64_t mode = g.intAttr("qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3)
    return g.error("qk_matmul_output_mode is " + Twine(mode));
  return success();
}

/// Softmax over keys in the precision asked for; rows without a key are zeros.
Value attend(Composer &g, Value scores, Value bias, Type type) {
  Type precision = type;
  if (g.hasAttr("softmax_precision"))
    precision =
        typeOfEnum(type.getContext(), g.intAttr("softmax_precision", 1));
  if (!precision || !isFloat(precision)) {
    (void)g.error("softmax_precision must be a float type");
    return {};
  }
  Value p = g.node("Softmax", {g.cast(scores, precision)},
                   {g.attr("axis", int64_t(-1))});
  if (bias) {
    Value most = g.reduce("ReduceMax", bias, {-1});
    Value none = g.node("Equal", {most, g.number(-INFINITY, type)});
    p = g.node("Where", {none, g.number(0, precision), p});
  }
  return g.cast(p, type);
}

LogicalResult attention(Composer &g) {
  if (failed(checkAttention(g)))
    return failure();
  Value q = g.in(0), k = g.in(1), v = g.in(2);
  bool packed = g.rank(q) == 3;
  Type type = g.type(q);
  if (packed) {
    int64_t shared = g.intAttr("kv_num_heads", 0);
    q = splitHeads(g, q, g.intAttr("q_num_heads", 0));
    k = q ? splitHeads(g, k, shared) : q;
    v = k ? splitHeads(g, v, shared) : k;
    if (!v)
      return failure();
  }
  Value offset;
  if (Value past = g.in(4)) {
    offset = g.sizes({g.dim(past, 2)});
    k = g.concat({past, k}, 2);
    v = g.concat({g.in(5), v}, 2);
  }
  if (!g.ok())
    return failure();
  g.give(1, k);
  g.give(2, v);
  Dim size = g.dim(q, 3);
  if (!g.hasAttr("scale") && !size.isConst())
    return g.unsupported("without scale, the head size must be constant");
  double scale = g.hasAttr("scale")
                     ? g.floatAttr("scale", 1)
                     : 1 / std::sqrt(std::max<double>(size.value(), 1));
  double root = std::sqrt(std::abs(scale));
  Value kt = g.transpose(times(g, k, root), {0, 1, 3, 2});
  Value scores = groupedMatMul(g, times(g, q, scale < 0 ? -root : root), kt),
        shown[4];
  shown[0] = scores;
  if (double cap = g.floatAttr("softcap", 0); cap > 0 && g.ok()) {
    Value c = g.number(cap, type);
    scores = g.mul(g.node("Tanh", {g.div(scores, c)}), c);
  }
  shown[1] = scores;
  Bias bias(g, type, g.dim(q, 2), g.dim(k, 2));
  if (Value mask = g.in(3))
    bias.addMask(mask);
  if (Value lengths = g.in(6)) {
    Value back = g.sub(lengths, g.sizes({g.dim(q, 2)}));
    offset = g.unsqueeze(back, {1, 2, 3});
  }
  bias.addWindow(g.intAttr("is_causal", 0) != 0,
                 g.intAttr("left_window_size", -1),
                 g.intAttr("right_window_size", -1), offset);
  if (Value lengths = g.in(6))
    bias.addPadding(lengths);
  if (bias.value)
    scores = g.add(scores, bias.value);
  shown[2] = scores;
  shown[3] = attend(g, scores, bias.value, type);
  if (!shown[3])
    return failure();
  Value y = groupedMatMul(g, shown[3], v);
  if (packed && g.ok()) {
    y = g.transpose(y, {0, 2, 1, 3});
    Dim hidden = mulDims(g.dims, g.dim(y, 2), g.dim(y, 3));
    y = g.reshape(y, {g.dim(y, 0), g.dim(y, 1), hidden});
  }
  g.give(0, y);
  g.give(3, shown[g.intAttr("qk_matmul_output_mode", 0)]);
  return success(g.ok() && y);
}

//===----------------------------------------------------------------------===//
// RotaryEmbedding
//===----------------------------------------------------------------------===//

/// Every second element of the last axis, from `first`.
Value everySecond(Composer &g, Value x, int64_t first) {
  return g.node("Slice", {x, g.integers({first}), g.sizes({g.dim(x, -1)}),
                          g.integers({-1}), g.integers({2})});
}

/// x turned by the caches' angles: pairs are halves, or neighbours.
Value rotate(Composer &g, Value x, Value cos, Value sin, bool interleaved) {
  if (!g.ok())
    return {};
  SmallVector<Dim> dims = g.info(x).dims;
  Dim zero = g.dims.constant(0), half = g.dim(cos, -1);
  Value a = interleaved ? everySecond(g, x, 0) : g.slice(x, -1, zero, half);
  Value b =
      interleaved ? everySecond(g, x, 1) : g.slice(x, -1, half, dims.back());
  Value real = g.sub(g.mul(cos, a), g.mul(sin, b));
  Value imaginary = g.add(g.mul(sin, a), g.mul(cos, b));
  if (!interleaved)
    return g.concat({real, imaginary}, -1);
  Value pairs =
      g.concat({g.unsqueeze(real, {-1}), g.unsqueeze(imaginary, {-1})}, -1);
  return g.reshape(pairs, dims);
}

LogicalResult rotaryEmbedding(Composer &g) {
  Value x = g.in(0), cos = g.in(1), sin = g.in(2);
  int64_t rank = g.rank(x);
  if (failed(requireFloat(g, {0, 1, 2})) || (rank != 3 && rank != 4))
    return g.error("the input must be a float tensor of rank 3 or 4; found " +
                   g.info(x).str());
  SmallVector<Dim> dims = g.info(x).dims;
  if (rank == 3) {
    int64_t heads = g.intAttr("num_heads", 0);
    Dim size = divided(g, dims[2], heads, "the hidden size");
    if (!size)
      return failure();
    x = g.reshape(x, {dims[0], dims[1], g.dims.constant(heads), size});
  } else {
    x = g.transpose(x, {0, 2, 1, 3});
  }
  Dim size = g.dim(x, 3), turned = size;
  if (int64_t part = g.intAttr("rotary_embedding_dim", 0))
    turned = g.dims.constant(part);
  if (!g.ok() || !divided(g, turned, 2, "the rotated size"))
    return failure();
  if (Value at = g.in(3)) {
    cos = g.node("Gather", {cos, at});
    sin = g.node("Gather", {sin, at});
  }
  cos = g.unsqueeze(cos, {2});
  sin = g.unsqueeze(sin, {2});
  Value part = turned == size ? x : g.slice(x, 3, g.dims.constant(0), turned);
  Value y = rotate(g, part, cos, sin, g.intAttr("interleaved", 0) != 0);
  if (turned != size)
    y = g.concat({y, g.slice(x, 3, turned, size)}, 3);
  g.give(0, rank == 3 ? g.reshape(y, dims) : g.transpose(y, {0, 2, 1, 3}));
  return success();
}

//===----------------------------------------------------------------------===//
// LinearAttention
//===----------------------------------------------------------------------===//

struct LinearForm {
  bool gated, delta;
  int64_t queryHeads, heads, group;
};

LogicalResult linearForm(Composer &g, LinearForm &form) {
  StringRef rule = g.strAttr("update_rule", "gated_delta");
  if (rule != "linear" && rule != "gated" && rule != "delta" &&
      rule != "gated_delta")
    return g.error("update_rule \"" + rule + "\" is unknown");
  form.gated = rule.starts_with("gated");
  form.delta = rule.ends_with("delta");
  form.queryHeads = g.intAttr("q_num_heads", 0);
  form.heads = g.intAttr("kv_num_heads", 0);
  if (form.heads < 1 || form.queryHeads < 1 ||
      form.queryHeads % form.heads != 0)
    return g.error("q_num_heads must be a multiple of kv_num_heads; found " +
                   Twine(form.queryHeads) + " and " + Twine(form.heads));
  form.group = form.queryHeads / form.heads;
  if (form.gated != g.hasInput(4) || form.delta != g.hasInput(5))
    return g.error("update_rule \"" + rule + "\" takes " +
                   (form.gated ? "a" : "no") + " decay and " +
                   (form.delta ? "a" : "no") + " beta");
  for (unsigned i : {0u, 1u, 2u, 4u, 5u})
    if (failed(requireRank(g, i, 3)))
      return failure();
  return success(succeeded(requireRank(g, 3, 4)) &&
                 succeeded(requireFloat(g, {0, 1, 2, 3, 4, 5})));
}

/// One step: states and inputs of a time step to the next state and an output.
/// Keys are columns (h, k, 1) and rows (h, 1, k), values rows (h, 1, v).
Composer::Values linearStep(Composer &g, const LinearForm &form, Type type,
                            double scale, ValueRange args) {
  unsigned next = 0;
  Value state = args[next++], query = args[next++], keyColumn = args[next++],
        keyRow = args[next++], value = args[next++];
  if (form.gated)
    state = g.mul(state, g.node("Exp", {args[next++]}));
  if (form.delta) {
    Value error = g.sub(value, g.node("MatMul", {keyRow, state}));
    value = g.mul(args[next++], error);
  }
  state = g.add(state, g.mul(keyColumn, value));
  Value y = g.node("MatMul", {query, state});
  return {state, g.mul(y, g.number(scale, type))};
}

LogicalResult linearAttention(Composer &g) {
  LinearForm form;
  if (failed(linearForm(g, form)))
    return failure();
  Type out = g.type(g.in(0)), type = computeType(out);
  Dim batch = g.dim(g.in(0), 0), time = g.dim(g.in(0), 1);
  Dim heads = g.dims.constant(form.heads), one = g.dims.constant(1);
  Dim dk = divided(g, g.dim(g.in(0), 2), form.queryHeads, "the query's size");
  Dim dv = divided(g, g.dim(g.in(2), 2), form.heads, "the value's size");
  if (!dk || !dv)
    return failure();
  double scale = g.floatAttr("scale", 0);
  if (scale == 0 && !dk.isConst())
    return g.unsupported("without scale, the head size must be constant");
  if (scale == 0)
    scale = 1 / std::sqrt(double(dk.value()));
  auto at = [&](unsigned i, ArrayRef<Dim> last) {
    SmallVector<Dim> dims = {batch, time};
    dims.append(last.begin(), last.end());
    return g.reshape(g.cast(g.in(i), type), dims);
  };
  Value state = g.in(3);
  Type stateType = state ? g.type(state) : out;
  state = state ? g.cast(state, type)
                : g.expand(g.number(0, type), {batch, heads, dk, dv});
  Composer::Values inputs = {at(0, {heads, g.dims.constant(form.group), dk}),
                             at(1, {heads, dk, one}), at(1, {heads, one, dk}),
                             at(2, {heads, one, dv})};
  if (form.gated) {
    bool perHead = g.dim(g.in(4), 2) == heads;
    inputs.push_back(at(4, {heads, perHead ? one : dk, one}));
  }
  if (form.delta) {
    bool shared = g.dim(g.in(5), 2).isConst(1);
    inputs.push_back(at(5, {shared ? one : heads, one, one}));
  }
  if (!g.ok())
    return failure();
  Composer::Values results = g.scan({state}, inputs, 1, [&](ValueRange args) {
    return linearStep(g, form, type, scale, args);
  });
  Dim hidden = mulDims(g.dims, g.dims.constant(form.queryHeads), dv);
  Value y = g.reshape(results[1], {batch, time, hidden});
  g.give(0, g.cast(y, out));
  g.give(1, g.cast(results[0], stateType));
  return success();
}

//===----------------------------------------------------------------------===//
// CausalConvWithState
//===----------------------------------------------------------------------===//

LogicalResult causalConvWithState(Composer &g) {
  Value x = g.in(0), kernel = g.in(1), past = g.in(3);
  StringRef activation = g.strAttr("activation", "none");
  if (activation != "none" && activation != "silu" && activation != "swish")
    return g.error("activation \"" + activation + "\" is unknown");
  if (failed(requireRank(g, 0, 3)) || failed(requireRank(g, 1, 3)) ||
      failed(requireRank(g, 3, 3)) || failed(requireFloat(g, {0, 1, 2, 3})))
    return failure();
  Dim channels = g.dim(kernel, 0), width = g.dim(kernel, 2);
  if (!channels.isConst() || !width.isConst() || width.value() < 1)
    return g.unsupported("the kernel's sizes must be constant; found " +
                         g.info(kernel).str());
  Dim before = g.dims.constant(width.value() - 1);
  Type type = g.type(x);
  if (!past)
    past = g.expand(g.number(0, type), {g.dim(x, 0), g.dim(x, 1), before});
  Value padded = g.concat({past, x}, 2);
  Value y = g.node("Conv", {padded, kernel, g.in(2)},
                   {g.attr("group", channels.value())});
  if (activation != "none" && g.ok())
    y = g.cast(g.node("Swish", {g.cast(y, computeType(type))}), type);
  g.give(0, y);
  if (!g.ok())
    return failure();
  Dim length = g.dim(padded, 2);
  g.give(1, g.slice(padded, 2, subDims(g.dims, length, before), length));
  return success();
}

} // namespace

void addAttentionOps(std::vector<OpEntry> &t) {
  t.push_back(composed<attention>("Attention", 3, 7, 23));
  t.push_back(composed<rotaryEmbedding>("RotaryEmbedding", 3, 4, 23));
  t.push_back(composed<linearAttention>("LinearAttention", 3, 6, 27));
  t.push_back(composed<causalConvWithState>("CausalConvWithState", 2, 4, 27));
}

} // namespace lnn::onnx
