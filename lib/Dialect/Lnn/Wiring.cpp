//===- Wiring.cpp - which synapses exist: text form and queries -----------===//
#include "lnn/Dialect/Lnn/Wiring.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace lnn;

#define GET_ATTRDEF_CLASSES
#include "lnn/Dialect/Lnn/LnnAttrs.cpp.inc"

void LnnDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "lnn/Dialect/Lnn/LnnAttrs.cpp.inc"
      >();
}

/// True where the sizes are in range: small enough that nothing overflows and
/// no text of a few bytes takes all memory.
static bool isValidSize(int64_t pre, int64_t post) {
  return pre >= 0 && post >= 0 && pre <= WiringAttr::maxPlaces &&
         post <= WiringAttr::maxPlaces && pre * post <= WiringAttr::maxPlaces;
}

static size_t wordsFor(int64_t pre, int64_t post) {
  return (pre * post + 63) / 64;
}

LogicalResult WiringAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t pre, int64_t post,
                                 ArrayRef<uint64_t> words) {
  if (!isValidSize(pre, post))
    return emitError() << "a wiring of " << pre << " x " << post
                       << " neurons is too large; at most " << maxPlaces
                       << " synapses are allowed";
  if (words.size() != wordsFor(pre, post))
    return emitError() << "a wiring of " << pre << " x " << post
                       << " neurons needs " << wordsFor(pre, post)
                       << " words, found " << words.size();
  return success();
}

WiringAttr WiringAttr::get(MLIRContext *context, int64_t pre, int64_t post,
                           function_ref<bool(int64_t, int64_t)> exists) {
  assert(isValidSize(pre, post) && "too large");
  SmallVector<uint64_t> words(wordsFor(pre, post));
  uint64_t bit = 0;
  for (int64_t i = 0; i < pre; ++i)
    for (int64_t j = 0; j < post; ++j, ++bit)
      if (exists(i, j))
        words[bit / 64] |= uint64_t(1) << (bit % 64);
  return get(context, pre, post, words);
}

WiringAttr WiringAttr::fromMask(DenseElementsAttr mask) {
  ShapedType type = mask.getType();
  if (type.getRank() != 2 ||
      !isValidSize(type.getDimSize(0), type.getDimSize(1)))
    return {};
  SmallVector<char> bits;
  bits.reserve(type.getNumElements());
  if (isa<FloatType>(type.getElementType()))
    for (const APFloat &v : mask.getValues<APFloat>())
      bits.push_back(!v.isZero());
  else if (isa<IntegerType>(type.getElementType()))
    for (const APInt &v : mask.getValues<APInt>())
      bits.push_back(!v.isZero());
  else
    return {};
  int64_t post = type.getDimSize(1);
  return get(mask.getContext(), type.getDimSize(0), post,
             [&](int64_t i, int64_t j) { return bits[i * post + j] != 0; });
}

DenseElementsAttr WiringAttr::toMask(Type elementType) const {
  auto type = RankedTensorType::get({getPre(), getPost()}, elementType);
  Builder b(getContext());
  Attribute zero, one;
  if (isa<FloatType>(elementType)) {
    zero = b.getFloatAttr(elementType, 0);
    one = b.getFloatAttr(elementType, 1);
  } else {
    zero = b.getIntegerAttr(elementType, 0);
    one = IntegerAttr::get(elementType,
                           APInt(elementType.getIntOrFloatBitWidth(), 1));
  }
  SmallVector<Attribute> values;
  values.reserve(getPre() * getPost());
  for (int64_t i = 0; i < getPre(); ++i)
    for (int64_t j = 0; j < getPost(); ++j)
      values.push_back(exists(i, j) ? one : zero);
  return DenseElementsAttr::get(type, values);
}

int64_t WiringAttr::count() const {
  int64_t total = 0;
  for (uint64_t word : getWords())
    total += llvm::popcount(word);
  return total;
}

//===----------------------------------------------------------------------===//
// Text: <32 x 19, {0: [1, 4], 3: [7 to 12]}>, <4 x 4, dense>
//===----------------------------------------------------------------------===//

/// `j` or `first to last`, ascending, into the row's bits.
static ParseResult parseReceivers(AsmParser &parser, int64_t row, int64_t post,
                                  int64_t &next,
                                  MutableArrayRef<uint64_t> words) {
  SMLoc place = parser.getCurrentLocation();
  int64_t first, last;
  if (parser.parseInteger(first))
    return failure();
  last = first;
  if (succeeded(parser.parseOptionalKeyword("to")) && parser.parseInteger(last))
    return failure();
  if (first < next || last < first || last >= post)
    return parser.emitError(place)
           << "receivers must be ascending and below " << post;
  next = last + 1;
  for (int64_t j = first; j <= last; ++j) {
    uint64_t bit = static_cast<uint64_t>(row) * post + j;
    words[bit / 64] |= uint64_t(1) << (bit % 64);
  }
  return success();
}

Attribute WiringAttr::parse(AsmParser &parser, Type) {
  SmallVector<int64_t> sizes;
  SMLoc place = parser.getCurrentLocation();
  if (parser.parseLess() ||
      parser.parseDimensionList(sizes, /*allowDynamic=*/false,
                                /*withTrailingX=*/false) ||
      parser.parseComma())
    return {};
  if (sizes.size() != 2 || !isValidSize(sizes[0], sizes[1])) {
    parser.emitError(place)
        << "a wiring has two sizes, pre x post, and at most " << maxPlaces
        << " synapses";
    return {};
  }
  int64_t pre = sizes[0], post = sizes[1];
  if (succeeded(parser.parseOptionalKeyword("dense"))) {
    if (parser.parseGreater())
      return {};
    return get(parser.getContext(), pre, post,
               [](int64_t, int64_t) { return true; });
  }
  SmallVector<uint64_t> words(wordsFor(pre, post));
  int64_t nextRow = 0;
  auto parseRow = [&]() -> ParseResult {
    SMLoc rowPlace = parser.getCurrentLocation();
    int64_t row, next = 0;
    if (parser.parseInteger(row) || parser.parseColon())
      return failure();
    if (row < nextRow || row >= pre)
      return parser.emitError(rowPlace)
             << "senders must be ascending and below " << pre;
    nextRow = row + 1;
    return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
      return parseReceivers(parser, row, post, next, words);
    });
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Braces, parseRow) ||
      parser.parseGreater())
    return {};
  return get(parser.getContext(), pre, post, words);
}

void WiringAttr::print(AsmPrinter &printer) const {
  int64_t pre = getPre(), post = getPost();
  printer << "<" << pre << " x " << post << ", ";
  if (isDense() && !isEmpty()) {
    printer << "dense>";
    return;
  }
  printer << "{";
  bool firstRow = true;
  for (int64_t i = 0; i < pre; ++i) {
    bool firstInRow = true;
    for (int64_t j = 0; j < post; ++j) {
      if (!exists(i, j))
        continue;
      int64_t last = j;
      while (last + 1 < post && exists(i, last + 1))
        ++last;
      if (firstInRow)
        printer << (firstRow ? "" : ", ") << i << ": [";
      else
        printer << ", ";
      firstRow = firstInRow = false;
      printer << j;
      if (last == j + 1)
        printer << ", " << last;
      else if (last > j)
        printer << " to " << last;
      j = last;
    }
    if (!firstInRow)
      printer << "]";
  }
  printer << "}>";
}
