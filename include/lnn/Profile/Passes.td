// Passes that make a model measure itself.
#ifndef LNN_PROFILE_PASSES
#define LNN_PROFILE_PASSES

include "mlir/Pass/PassBase.td"

def LnnProfileRegionsPass : Pass<"lnn-profile-regions", "::mlir::func::FuncOp"> {
  let summary = "measure the regions of a function on buffers";
  let description = [{
    Every structured operation with the copies before it, every loop and every conditional becomes a region, and those inside of a loop or
    conditional regions within its region. `lnn.enter_region` and `lnn.leave_region` stand around each. The function's `lnn.regions` says of
    each region its name (that of the node that it came from), all nodes, its kind and the number of the region that it lies in, or -1.

    ```mlir
    linalg.matmul ins(%a, %b : memref<4x8xf32>, memref<8x2xf32>) outs(%c : memref<4x2xf32>) loc("/fc/MatMul")
    // becomes
    %start = lnn.enter_region
    linalg.matmul ins(%a, %b : memref<4x8xf32>, memref<8x2xf32>) outs(%c : memref<4x2xf32>)
    lnn.leave_region 0 since %start counting %c128 operations, %c256 bytes
    ```

    An operation is an addition, a multiplication or another instruction on numbers in floating point; a fused multiply-add is two; a function
    (exp, tanh, a sigmoid, ...) counts as 20, about what it is expanded to. Bytes are those of the elements that the operation reads and
    writes, each once, however often it reads them. Sizes that vary are read at run time. What is not a structured operation (loads and
    stores in a loop) is timed and not counted.

    It changes no result. A pass of the CPU's pipeline with `profile`, behind bufferization, where operations are those that become loops.
  }];
  let dependentDialects = ["::lnn::LnnDialect", "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect"];
}
#endif
