//===- Frozen.cpp - values of inputs, written as text ---------------------===//
#include "lnn/Frontend/Onnx/Frozen.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;
using namespace lnn::onnx;

namespace {
/// A number, or a list in brackets of what is alike.
class Parser {
public:
  explicit Parser(StringRef text) : rest(text.trim()) {}
  bool parse() { return value(0) && rest.empty(); }

  std::vector<int64_t> shape, integers;
  std::vector<double> reals;
  bool isInteger = true;

private:
  StringRef rest;

  bool take(char c) {
    rest = rest.ltrim();
    return rest.consume_front(StringRef(&c, 1));
  }
  bool value(unsigned depth);
  bool number();
};
} // namespace

bool Parser::number() {
  StringRef word = rest.take_until(
                [](char c) { return c == ',' || c == '[' || c == ']'; }),
            text = word.rtrim();
  rest = rest.drop_front(word.size());
  int64_t integer = 0;
  double real = 0;
  if (text == "true" || text == "false") {
    integer = text == "true";
    real = integer;
  } else if (!text.getAsInteger(10, integer)) {
    real = integer;
  } else if (!text.getAsDouble(real)) {
    isInteger = false;
  } else {
    return false;
  }
  integers.push_back(integer);
  reals.push_back(real);
  return true;
}

bool Parser::value(unsigned depth) {
  if (!take('['))
    return depth == shape.size() && number();
  constexpr unsigned deepest = 32;
  if (depth == deepest)
    return false;
  // The first list of a depth says how long all of them are.
  bool first = depth == shape.size();
  if (first) {
    if (!integers.empty())
      return false;
    shape.push_back(0);
  }
  int64_t count = 0;
  if (!take(']')) {
    do {
      if (!value(depth + 1))
        return false;
      ++count;
    } while (take(','));
    if (!take(']'))
      return false;
  }
  rest = rest.ltrim();
  if (first)
    shape[depth] = count;
  return shape[depth] == count;
}

Expected<FrozenInput> lnn::onnx::parseFrozenInput(StringRef text) {
  // Names may have an equals sign; values have none.
  auto [name, value] = text.rsplit('=');
  Parser parser(value);
  if (name.empty() || !parser.parse())
    return createStringError(
        "takes name=value, the value a number or a list of them as [1, 2]; "
        "found '%s'",
        text.str().c_str());
  FrozenInput input{name.str(), parser.shape, {}};
  if (parser.isInteger)
    input.values = std::move(parser.integers);
  else
    input.values = std::move(parser.reals);
  return input;
}
