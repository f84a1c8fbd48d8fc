// Passes between tensors and buffers: the entry function's border, in-place states, memory planning, weights.
#ifndef LNN_TRANSFORMS_PASSES
#define LNN_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

def LnnPrepareEntryPass : Pass<"lnn-prepare-entry", "::mlir::ModuleOp"> {
  let summary = "turn the results of @main into the caller's buffers";
  let description = [{
    Rewrites `@main`, a function on tensors, so that each result is materialized in an `lnn.output` buffer, and records the
    signature (`lnn.inputs`, `lnn.outputs`, `lnn.symbols`) on the function. The buffer is taken at the function's entry
    where its sizes follow from the arguments' sizes. Arguments become read-only. `@main_rows` is treated alike, where there is one.

    ```mlir
    func.func @main(%x: tensor<?xf32>) -> tensor<?xf32> { return %x : tensor<?xf32> }
    // becomes
    func.func @main(%x: tensor<?xf32> {bufferization.writable = false}) attributes {lnn.inputs = ..., lnn.outputs = ...} {
      %n = tensor.dim %x, %c0 : tensor<?xf32>
      %y = lnn.output 0(%n) : memref<?xf32>
      bufferization.materialize_in_destination %x in restrict writable %y : (tensor<?xf32>, memref<?xf32>) -> ()
      return
    }
    ```
  }];
  let dependentDialects = ["::lnn::LnnDialect", "::mlir::bufferization::BufferizationDialect",
                           "::mlir::tensor::TensorDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::arith::ArithDialect"];
}

def LnnSplitRowsPass : Pass<"lnn-split-rows", "::mlir::ModuleOp"> {
  let summary = "prove that a batch may be computed in parts, for threads";
  let description = [{
    Looks for a dimension of the arguments that counts rows: row `i` of every result that has the dimension follows from row `i` of the
    arguments, in the same way for all `i`, and the other results follow from no row. Two dimensions are of one class where an operation
    takes the same index into both: a parallel loop of a structured operation, a loop's carried value, a slice or a reshape that
    keeps the dimension whole. A class is refused that some operation reads otherwise (a reduction over it, one of its elements, its
    index or its size as a number, any operation that the pass doesn't know), that a value has twice, or that a constant
    has whose rows differ.

    The module's `lnn.rows` then says which dimension of each argument and result it is, or -1. Where calls say how many rows there are,
    `@main` itself runs on parts of them. Where the number is fixed, at least at 16, `@main_rows` is a copy of `@main` for `chunk`
    rows, a divisor of it that vectors fit into.

    ```mlir
    func.func @main(%x: tensor<256x8xf32>, %w: tensor<8x4xf32>) -> tensor<256x4xf32> {
      %y = linalg.matmul ins(%x, %w : ...) outs(%zero : tensor<256x4xf32>) -> tensor<256x4xf32>
    // becomes the same, and
    module attributes {lnn.rows = {chunk = 32, inputs = array<i64: 0, -1>, outputs = array<i64: 0>}} {
    func.func @main_rows(%x: tensor<32x8xf32>, %w: tensor<8x4xf32>) -> tensor<32x4xf32> {
    ```
  }];
  let options = [
    Option<"fewest", "fewest", "int64_t", "8", "rows of a part, where the batch is fixed: as many as code for all rows needs to be what it is">
  ];
  let dependentDialects = ["::lnn::LnnDialect"];
}

def LnnCarryInPlacePass : Pass<"lnn-carry-in-place"> {
  let summary = "keep each loop-carried tensor in one buffer";
  let description = [{
    A loop that yields a tensor other than its own carried argument would bufferize to a fresh allocation in each iteration.
    Where the sizes are known not to change, the yielded tensor is materialized in the carried one. A loop's
    initial `tensor.empty` becomes an allocation of its own, so that no two carried tensors share one.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect", "::mlir::tensor::TensorDialect"];
}

def LnnUnifySizesPass : Pass<"lnn-unify-sizes", "::mlir::func::FuncOp"> {
  let summary = "read each named size of the arguments once";
  let description = [{
    Dimensions of arguments that share a name in `lnn.dims` are equal in every call, which the runtime checks. All reads of
    such a dimension become reads of the first argument that has it, at the function's entry; so do reads of sizes that follow
    from it, as those of a loop's states.
  }];
  let dependentDialects = ["::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect"];
}

def LnnCheckSizesPass : Pass<"lnn-check-sizes", "::mlir::func::FuncOp"> {
  let summary = "check that sizes which meet are equal";
  let description = [{
    Operands that one loop goes over must have one size there; inputs of a scan, its length; what is cast to a known size, that size;
    and a slice must lie within its tensor. Where these sizes follow from those of the arguments and are not equal by how they are computed,
    an `lnn.check` is made of them, which `lnn-outline-sizes` tests before a run. Operations under a condition are left alone, and sizes that
    depend on data, which whoever makes them must check.

    ```mlir
    func.func @main(%a: tensor<?xf32>, %b: tensor<?xf32>) -> tensor<?xf32> {
      %y = linalg.add ins(%a, %b : tensor<?xf32>, tensor<?xf32>) outs(%e : tensor<?xf32>) -> tensor<?xf32>
    // becomes
      %n = tensor.dim %a, %c0 : tensor<?xf32>
      %m = tensor.dim %b, %c0 : tensor<?xf32>
      %same = arith.cmpi eq, %m, %n : index
      %y = linalg.add ...
      lnn.check %same, "line 3, column 8: dimension 0 of 'arg1' must be equal to dimension 0 of 'arg0'"
    ```
  }];
  let dependentDialects = ["::lnn::LnnDialect", "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect"];
}

def LnnForwardOutputsPass : Pass<"lnn-forward-outputs", "::mlir::func::FuncOp"> {
  let summary = "compute results in the caller's buffers";
  let description = [{
    Where a buffer allocated in the function is copied to an `lnn.output` at its end and nothing changes it after that, the
    allocation and the copy go away and the output takes the allocation's place.
  }];
  let dependentDialects = ["::lnn::LnnDialect", "::mlir::memref::MemRefDialect"];
}

def LnnPlanMemoryPass : Pass<"lnn-plan-memory", "::mlir::func::FuncOp"> {
  let summary = "place every temporary in one arena";
  let description = [{
    Each `memref.alloc` becomes a `memref.view` of one `lnn.arena`, at an offset that is a multiple of 64; buffers that are never
    alive together share memory. Sizes that depend on the arguments' sizes are computed at the function's entry, and
    buffers of one such size share slots. Sizes that depend on data, and buffers that outlive an iteration of
    the loop they are made in, become `lnn.scratch`. The function must have structured control flow.

    ```mlir
    %a = memref.alloc() : memref<8xf32>
    // becomes
    %arena = lnn.arena %c64 : memref<?xi8>
    %a = memref.view %arena[%c0][] : memref<?xi8> to memref<8xf32>
    ```
  }];
  let statistics = [
    Statistic<"numPlanned", "planned", "buffers placed in the arena">,
    Statistic<"numScratch", "scratch", "buffers whose size depends on data">,
    Statistic<"staticBytes", "static-bytes", "bytes of the arena's static part">
  ];
  let dependentDialects = ["::lnn::LnnDialect", "::mlir::memref::MemRefDialect", "::mlir::arith::ArithDialect"];
}

def LnnMergeWeightsPass : Pass<"lnn-merge-weights", "::mlir::ModuleOp"> {
  let summary = "put all constants in one aligned read-only blob";
  let description = [{
    Each constant `memref.global` becomes a view of `@lnn_weights`, one global of bytes aligned to 64 with each constant at
    a multiple of 64. Equal constants are stored once.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect", "::mlir::arith::ArithDialect"];
}

def LnnOutlineSizesPass : Pass<"lnn-outline-sizes", "::mlir::ModuleOp"> {
  let summary = "make the function that says how large results and scratch are";
  let description = [{
    Makes `@lnn_sizes` from those parts of `@main` that depend on the sizes of the arguments alone: results' sizes (-1 where they
    depend on data), the arena's bytes, and every unconditional `lnn.check` on sizes, which is tested there and leaves
    `@main`. Messages of all checks are collected in `lnn.messages`. Of `@main_rows`, where there is one, it makes `@lnn_sizes_rows`.
  }];
  let dependentDialects = ["::lnn::LnnDialect", "::mlir::LLVM::LLVMDialect", "::mlir::cf::ControlFlowDialect",
                           "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect"];
}
def OnnxReroll : Pass<"onnx-reroll", "::mlir::func::FuncOp"> {
  let summary = "turn unrolled loops of an ONNX graph into Scan and Loop nodes";
  let description = [{
    Finds runs of isomorphic subgraphs of `onnx.node` ops that are chained through carried values (time steps, solver
    steps), and replaces each by one Scan node (where slices of a tensor at consecutive indices, or constants that differ
    from step to step, are read) or Loop node, inner loops first. The computation of each element is the same, in
    the same order, so results are equal bit for bit. What cannot be proven isomorphic stays as it is.

    ```mlir
    %1 = onnx.node "Tanh"(%0) ...
    %2 = onnx.node "Mul"(%1, %k) ...
    %3 = onnx.node "Tanh"(%2) ...
    // ... eight times
    // becomes onnx.node "Loop"(%c8, %true, %0) bodies ["body"] { Tanh, Mul }
    ```
  }];
  let options = [Option<"maxScannedElements", "max-scanned-elements", "int64_t", "16",
    "constants that differ from step to step may have so many elements; larger ones are taken for layers' weights">,
    Option<"remarks", "remarks", "bool", "false", "say of each loop how many iterations, nodes and states it has">,
    Option<"explain", "explain", "bool", "false",
    "note on each node the numbers (lnn.number) of the nodes that it stands for (lnn.origins), on each loop why it has no more steps "
    "(lnn.stop), on the function what looks periodic and is no loop (lnn.unrolled)">];
  let statistics = [Statistic<"loopsMade", "loops-made", "Loops made">];
  let dependentDialects = ["::lnn::onnx::OnnxDialect", "::mlir::arith::ArithDialect"];
}
#endif
