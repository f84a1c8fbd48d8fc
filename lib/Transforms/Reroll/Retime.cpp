//===- Retime.cpp - fewer states where one follows from others ------------===//
//
// Where blocks are cut decides what is carried. A state that is computed from
// another state's next value and invariants alone need not be carried: the next
// iteration computes it from what it is handed. That is the form which the last
// step has too, that hands nothing on.
//
//===----------------------------------------------------------------------===//
#include "Run.h"

using namespace mlir;
using namespace lnn;
using namespace lnn::reroll;

/// The state whose next value an operand is, or -1.
static int stateOf(const Run &run, const OperandClass &cls) {
  if (cls.kind == OperandClass::Internal)
    for (auto [s, state] : llvm::enumerate(run.states))
      if (state.place == cls.id && state.res == cls.res)
        return s;
  return -1;
}

/// True where state `s` follows from other states, in front of the first
/// iteration too.
bool Matcher::followsFromStates(const Run &run, int s) {
  const Run::State &state = run.states[s];
  Ref init = state.init;
  if (init.leaf() || init.res != state.res || !isFree(init.id) ||
      graph.nodes[init.id].label != graph.nodes[run.model(state.place)].label)
    return false;
  for (auto &iteration : run.backward)
    if (iteration[state.place] < 0)
      return false;
  bool any = false;
  for (auto [q, cls] : llvm::enumerate(run.classes[state.place])) {
    Ref operand = graph.nodes[init.id].operands[q];
    int from = stateOf(run, cls);
    if (cls.kind == OperandClass::Invariant
            ? operand != cls.value
            : from < 0 || from == s || operand != run.states[from].init)
      return false;
    any |= from >= 0;
  }
  for (auto &classes : run.classes)
    for (const OperandClass &cls : classes)
      if (cls.kind == OperandClass::Internal && cls.id == state.place)
        return false;
  for (auto [other, it] : llvm::enumerate(run.states))
    if (int(other) != s && it.place == state.place)
      return false;
  return any;
}

/// Computes state `s` at the beginning of each iteration instead of at the end
/// of the one before.
void Matcher::retime(Run &run, int s) {
  const Run::State state = run.states[s];
  for (OperandClass &cls : run.classes[state.place])
    if (int from = stateOf(run, cls); from >= 0)
      cls = {OperandClass::Carried, from, 0, {}};
  owner[run.backward[0][state.place]] = 0;
  for (int i = 0; i + 1 < run.trip(); ++i) {
    int id = run.backward[i + 1][state.place];
    run.backward[i][state.place] = id;
    iterationOf[id] = i;
  }
  run.backward.back()[state.place] = state.init.id;
  enter(state.init.id, state.place, run.trip() - 1);
  run.states.erase(run.states.begin() + s);
  for (auto &classes : run.classes)
    for (OperandClass &cls : classes)
      if (cls.kind == OperandClass::Carried) {
        if (cls.id == s)
          cls = {OperandClass::Internal, state.place, state.res, {}};
        else if (cls.id > s)
          --cls.id;
      }
}

void Matcher::dropStates(Run &run) {
  for (bool changed = true; changed && run.states.size() > 1;) {
    changed = false;
    for (int s = run.states.size() - 1; s >= 0 && !changed; --s)
      if (followsFromStates(run, s)) {
        retime(run, s);
        changed = true;
      }
  }
}
