//===- Run.h - isomorphic iterations found in a graph -----------*- C++ -*-===//
#ifndef LNN_TRANSFORMS_REROLL_RUN_H
#define LNN_TRANSFORMS_REROLL_RUN_H

#include "Evaluate.h"
#include "Graph.h"

namespace lnn::reroll {

/// What one operand of the body is, over all iterations.
struct OperandClass {
  enum Kind {
    Internal,  ///< result `res` of place `id`, of the same iteration
    Carried,   ///< state `id`, as the iteration before left it
    Invariant, ///< the same outer value in all
    Scanned,   ///< a constant in all, not the same
  } kind;
  int id = 0, res = 0;
  Ref value; // Invariant
};

/// Iterations that compute the same from different values. The body has places;
/// each iteration has a node at each place, or -1 where it is missing: nothing
/// needs it there, or its value is known (an initial value of zero made it a
/// constant).
struct Run {
  /// A value that an iteration hands to the next: result `res` of `place`;
  /// `init` comes before the first iteration.
  struct State {
    int place, res;
    Ref init;
  };
  std::vector<std::vector<int>> backward; ///< the last iteration first
  std::vector<llvm::SmallVector<OperandClass, 3>> classes; ///< by place
  llvm::SmallVector<State> states;
  std::string stop; ///< why there is no iteration in front, where it was asked
  int places() const { return backward.front().size(); }
  int trip() const { return backward.size(); }
  int node(int iteration, int place) const {
    return backward[trip() - 1 - iteration][place];
  }
  /// Some iteration's node at that place.
  int model(int place) const {
    for (auto &iteration : backward)
      if (iteration[place] >= 0)
        return iteration[place];
    return -1;
  }
};

/// By place: whether it is a slice of outer values, or of another such place,
/// that may as well be taken twice, inside of the loop and outside of it.
std::vector<char> inputPlaces(const Graph &graph, const Run &run);

/// By place: whether it is computed of the sizes of states, which are those
/// that the states begin with, and of what is the same in all iterations. The
/// first iteration's may as well be taken outside of the loop, and for all.
std::vector<char> sizePlaces(const Graph &graph, const Run &run);

/// True where an iteration hands sizes to the next: as values of a loop they
/// would be no sizes any more.
bool carriesSizes(const Graph &graph, const Run &run);

/// Finds runs in a graph that is laid out. Knows which nodes are in the run at
/// hand.
class Matcher {
public:
  Matcher(Graph &graph, int64_t maxScanned)
      : graph(graph), maxScanned(maxScanned) {}

  /// Whether it is noted why blocks are not iterations of one loop.
  bool explaining = false;
  std::string refusal;     ///< the last such note
  int refusalProgress = 0; ///< nodes of a block that had been matched by then
  /// Nodes that were compared in this round.
  int64_t workDone() const { return work; }
  // A node that no run has.
  bool isFree(int id) const { return !inRun(id) && !graph.collapsed[id]; }
  /// A run of the two neighbouring blocks of `period` nodes that begin at
  /// `start`, grown to the front as far as the graph allows and at most to
  /// `most` iterations.
  std::optional<Run> find(int start, int period, int most);
  /// Drops what cannot be in one loop with the rest, and adds what each
  /// iteration's values are used for alone. False where too little is left.
  bool complete(Run &run);
  /// True where the node is in the run.
  bool inRun(int id) const {
    return id < int(owner.size()) && owner[id] == serial;
  }
  void beginRound();

private:
  Graph &graph;
  int64_t maxScanned;
  static constexpr int64_t maxFolded =
      1 << 16; // elements of a constant that an exporter may have folded
  int serial = 0;
  int64_t work = 0;
  std::vector<int> owner, placeOf,
      iterationOf; // by node; iterations are counted backward

  void enter(int id, int place, int backward);
  bool refuse(int node, const llvm::Twine &why);
  std::string describeOperand(Ref ref) const;
  bool mayScan(const Label &label, unsigned operand, mlir::Type type) const;
  bool areScanned(int place, unsigned operand, const Run &run, Ref a,
                  Ref b) const;

  // Match.cpp
  std::optional<Run> seed(int start, int period);
  std::optional<OperandClass> classify(Run &run, int place, unsigned operand,
                                       Ref a, Ref b);
  void keepRecurrence(Run &run);
  // Extend.cpp
  struct Front;
  bool bindIteration(const Run &run, Front &front, llvm::ArrayRef<Ref> roots);
  bool prepend(Run &run);
  bool append(Run &run);
  llvm::SmallVector<std::pair<int, unsigned>> wayThrough(const Run &run,
                                                         int from, int to);
  llvm::SmallVector<Ref> nextValues(const Run &run, int to);
  bool bind(const Run &run, Front &front, int place, Ref ref);
  std::optional<Values> valueAtZero(const Run &run, int place,
                                    llvm::SmallVectorImpl<int> &states,
                                    int depth);
  std::optional<Values> valueOf(Ref ref, int depth);
  mlir::ElementsAttr zerosLike(Ref ref);
  bool bindConstant(const Run &run, Front &front, int place, Ref ref);
  bool bindState(const Run &run, Front &front, int state, Ref ref);
  bool bindOperands(const Run &run, Front &front, int place);
  // Retime.cpp
  bool followsFromStates(const Run &run, int s);
  void retime(Run &run, int s);
  void dropStates(Run &run);
  // Complete.cpp
  bool truncate(Run &run, int trip);
  std::optional<int> dependsOnRun(const Run &run, llvm::ArrayRef<Ref> values);
  bool makeLegal(Run &run);
  struct Addition;
  void absorbUsers(Run &run);
  bool absorbUser(Run &run, int place, Graph::Use use);
  int addPlace(const Run &run, Addition &addition, std::vector<int> nodes);
  std::optional<OperandClass> classifyAll(const Run &run, Addition &addition,
                                          int place, unsigned operand,
                                          llvm::ArrayRef<int> nodes);
};

/// Replaces a run by one node. False where that cannot be done.
bool collapse(Graph &graph, const Run &run,
              llvm::function_ref<bool(int)> inRun);

} // namespace lnn::reroll
#endif // LNN_TRANSFORMS_REROLL_RUN_H
