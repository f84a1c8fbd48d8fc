//===- Method.cpp - the attribute that names a solver ---------------------===//
#include "lnn/Dialect/Ode/Ode.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

#include <charconv>

using namespace mlir;
using namespace lnn::ode;

#define GET_ATTRDEF_CLASSES
#include "lnn/Dialect/Ode/OdeAttrs.cpp.inc"

void OdeDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "lnn/Dialect/Ode/OdeAttrs.cpp.inc"
      >();
}

static constexpr int64_t defaultMaxSteps = 10000;

/// The shortest text that reads back as the same number: 1.0e-6.
static std::string shortest(const APFloat &value) {
  char buffer[32];
  auto end =
      std::to_chars(std::begin(buffer), std::end(buffer),
                    value.convertToDouble(), std::chars_format::scientific)
          .ptr;
  auto [mantissa, exponent] = StringRef(buffer, end - buffer).split('e');
  if (exponent.empty()) // inf and nan
    return mantissa.str();
  std::string text = mantissa.str() + (mantissa.contains('.') ? "e" : ".0e");
  if (exponent.consume_front("-"))
    text += '-';
  StringRef digits = exponent.ltrim("+0");
  return text + (digits.empty() ? "0" : digits.str());
}

static std::string schemeNames() {
  SmallVector<StringRef> names;
  for (const Tableau &tableau : allTableaux())
    names.push_back(tableau.name);
  llvm::append_range(names, semilinearSchemes());
  return llvm::join(names, ", ");
}

static std::string adaptiveSchemeNames() {
  SmallVector<StringRef> names;
  for (const Tableau &tableau : allTableaux())
    if (tableau.hasErrorEstimate())
      names.push_back(tableau.name);
  return llvm::join(names, ", ");
}

LogicalResult MethodAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 StringRef scheme, int64_t steps,
                                 FloatAttr rtol, FloatAttr atol,
                                 int64_t maxSteps) {
  const Tableau *tableau = lookupTableau(scheme);
  if (!tableau && !isSemilinearScheme(scheme)) // m1
    return emitError() << "there is no scheme '" << scheme
                       << "'; there is: " << schemeNames();
  if (!rtol != !atol)
    return emitError() << "rtol and atol are given together or not at all";
  if (!rtol) {
    if (steps < 1) // m2
      return emitError() << "steps must be at least 1, not " << steps;
    return success();
  }
  if (steps)
    return emitError() << "either steps or rtol and atol, not both";
  if (maxSteps < 1) // m2
    return emitError() << "max_steps must be at least 1, not " << maxSteps;
  for (auto [name, tolerance] : {std::pair("rtol", rtol), {"atol", atol}}) {
    APFloat value = tolerance.getValue();
    if (!value.isFinite() || value.isZero() || value.isNegative()) // m3
      return emitError() << name << " must be finite and greater than 0, not "
                         << shortest(value);
  }
  if (!tableau || !tableau->hasErrorEstimate()) // m4
    return emitError() << "'" << scheme
                       << "' has no embedded error estimate to control the "
                          "step by; use steps = N, or one of "
                       << adaptiveSchemeNames();
  return success();
}

void MethodAttr::print(AsmPrinter &printer) const {
  printer << '<' << getScheme();
  if (isAdaptive())
    printer << ", rtol = " << shortest(getRtol().getValue())
            << ", atol = " << shortest(getAtol().getValue())
            << ", max_steps = " << getMaxSteps();
  else
    printer << ", steps = " << getSteps();
  printer << '>';
}

namespace {
/// What stands behind the scheme's name.
struct Control {
  std::optional<int64_t> steps, maxSteps;
  std::optional<double> rtol, atol;

  ParseResult parseEntry(AsmParser &parser) {
    SMLoc loc = parser.getCurrentLocation();
    StringRef key;
    if (parser.parseKeyword(&key) || parser.parseEqual())
      return failure();
    if (key == "steps")
      return parse(parser, loc, key, steps, &AsmParser::parseInteger<int64_t>);
    if (key == "max_steps")
      return parse(parser, loc, key, maxSteps,
                   &AsmParser::parseInteger<int64_t>);
    auto parseFloat = [](AsmParser &p, double &value) {
      return p.parseFloat(value);
    };
    if (key == "rtol")
      return parse(parser, loc, key, rtol, parseFloat);
    if (key == "atol")
      return parse(parser, loc, key, atol, parseFloat);
    return parser.emitError(loc) << "expected steps, rtol, atol or max_steps, "
                                    "not '"
                                 << key << "'";
  }

  template <typename T, typename Fn>
  ParseResult parse(AsmParser &parser, SMLoc loc, StringRef key,
                    std::optional<T> &slot, Fn read) {
    if (slot)
      return parser.emitError(loc) << key << " is given twice";
    return std::invoke(read, parser, slot.emplace());
  }
};
} // namespace

Attribute MethodAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  StringRef scheme;
  Control control;
  if (parser.parseLess() || parser.parseKeyword(&scheme))
    return {};
  std::string name = scheme.str();
  while (succeeded(parser.parseOptionalComma()))
    if (control.parseEntry(parser))
      return {};
  if (parser.parseGreater())
    return {};
  bool adaptive = control.rtol || control.atol;
  if (!adaptive && !control.steps) {
    parser.emitError(loc) << "expected steps = N, or rtol and atol";
    return {};
  }
  if (!adaptive && control.maxSteps) {
    parser.emitError(loc)
        << "max_steps belongs to adaptive control: give rtol and atol";
    return {};
  }
  if (adaptive && control.steps) {
    parser.emitError(loc) << "either steps or rtol and atol, not both";
    return {};
  }
  Builder b(parser.getContext());
  auto number = [&](std::optional<double> value) {
    return value ? b.getF64FloatAttr(*value) : FloatAttr();
  };
  return parser.getChecked<MethodAttr>(
      loc, parser.getContext(), StringRef(name), control.steps.value_or(0),
      number(control.rtol), number(control.atol),
      adaptive ? control.maxSteps.value_or(defaultMaxSteps) : int64_t(0));
}
