// Passes that make code: fusion on tensors, vector loops on buffers, and the polynomials behind elementary functions.
#ifndef LNN_CODEGEN_PASSES
#define LNN_CODEGEN_PASSES

include "mlir/Pass/PassBase.td"

def LnnFusePass : Pass<"lnn-fuse", "::mlir::func::FuncOp"> {
  let summary = "fuse elementwise work into its consumers, on tensors";
  let description = [{
    Named linalg ops become `linalg.generic`. An elementwise producer goes into its consumer where nothing is computed twice:
    it has one use, or it only moves data (broadcasts, constants). Elementwise producers go into reductions; two
    reductions over one expensive producer are merged first, so that the producer is computed in both at once and never
    stored. What depends on constant operands alone is computed, and sums and products are regrouped so that more does: a sigmoid in a
    sum, weighted by parameters, becomes `lnn.gate` of one fused multiply-add, a weight times a reversal potential one constant.
    Reshapes move out of the way, and constant operands are transposed so that the dimension which `lnn-vectorize-loops` puts into
    lanes is their last one; matrices become panels as wide as a block of vectors. Parts of a constant that sums read are constants of their own. The largest or smallest of all
    elements is that of columns, which are lanes, first. A sum of gates most of whose weights are zero
    becomes one over the synapses that exist, packed for each lane: the attribute `lnn.sparse` names its weights. In the other sums of
    gates two terms share a division (`lnn.gate_denominator`). With `weights` bf16 or int8, the constant matrices of sums of products are stored
    so and widened where they are loaded; int8 with a scale for each sum, which multiplies it once, in f32. With `pairs`, what multiplies
    them is rounded to bf16 too, once for all columns, and two terms become one `lnn.pair_dot`; sums of fewer than 16 terms or for fewer than 16
    columns, and one row of a matrix of more than 32 KB, whose time is that of its bytes, stay. With `quads`, sums over a multiple of four products of 8-bit integers, less a zero point, with constants that fit
    into 8 bits become sums of `lnn.quad_dot`, exactly: the zero point times the constants' sum is subtracted behind. A reduction whose
    output is a fill gets the number as `lnn.initial`, and an output that holds nothing: run `lnn-vectorize-loops` on what this pass leaves.

    ```mlir
    %s = linalg.generic {... parallel, parallel} ins(%x, %mu) { %d = arith.subf %a, %b ... }
    %t = linalg.generic {... parallel, parallel} ins(%s) { %g = lnn.sigmoid %a ... }
    %n = linalg.generic {... parallel, reduction} ins(%t, %w) outs(%zero) { mulf, addf }
    // becomes
    %n = linalg.generic {... parallel, reduction} ins(%x, %mu, %w) outs(%zero) { subf, sigmoid, mulf, addf }
    ```
  }];
  let options = [
    Option<"lanes", "lanes", "unsigned", "16", "f32 lanes of the widest vector, as for lnn-vectorize-loops: the width of panels follows">,
    Option<"tiles", "tiles", "bool", "false", "products of many rows with constant matrices become ones on tiles of bf16">,
    Option<"pairs", "pairs", "bool", "false", "products with constant matrices become ones of pairs of bf16 (lnn.pair_dot)">,
    Option<"quads", "quads", "bool", "false", "sums of products of 8-bit integers become ones of four each (lnn.quad_dot)">,
    Option<"weights", "weights", "std::string", "\"f32\"", "how constant matrices are stored: f32, bf16 or int8">
  ];
  let statistics = [
    Statistic<"numMerged", "merged", "reductions merged with a sibling">,
    Statistic<"numFolded", "folded", "parameters computed at compile time">,
    Statistic<"numSparse", "sparse", "sums over synapses of which most are absent">,
    Statistic<"numTiles", "tiles", "products on matrix tiles">,
    Statistic<"numPairs", "pairs", "sums of products of pairs of bf16">,
    Statistic<"numQuads", "quads", "sums of products of four 8-bit integers each">,
    Statistic<"numNarrowed", "narrowed", "matrices stored in fewer bytes">,
    Statistic<"numPaired", "paired", "sums of gates of which two share a division">,
    Statistic<"numPacked", "packed", "constants transposed for vector loads">
  ];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
                           "::mlir::arith::ArithDialect", "::mlir::affine::AffineDialect", "::mlir::math::MathDialect",
                           "::lnn::LnnDialect"];
}

def LnnVectorizeLoopsPass : Pass<"lnn-vectorize-loops", "::mlir::func::FuncOp"> {
  let summary = "lower linalg on buffers to loops over explicit vectors";
  let description = [{
    Every linalg op on buffers becomes `scf.for` loops. One parallel dimension, chosen by cost, goes into the lanes of vectors; operands that don't
    depend on it are broadcast, contiguous ones are loaded as vectors, others lane by lane. Several vectors (and rows of
    another parallel dimension, where an operand is shared by them) make one block. Reductions are
    the innermost loops, ascending, their accumulators values carried by the loops; a product added to an accumulator
    becomes one `math.fma`. Ragged sizes end in masked vectors, whose masked lanes touch no memory. The result of an element
    does not depend on lanes or blocks. Where the op, or what it is in, has `lnn.block = array<i64: rows, vectors>`, that is the
    block's shape, instead of the one that costs least (0 leaves one of the two to the cost). With `threads`, blocks of
    a large sum (or the iterations of a loop around all of them) are an `scf.parallel` over as many parts as `lnn.threads` says and there
    are blocks, unless the function or module says that other threads have parts of the batch; each block is computed as it would be otherwise. Where no dimension suits, and for bodies that cannot be vectors, the loops are scalar.

    ```mlir
    linalg.generic {indexing_maps = [(i, k) -> (k), (i, k) -> (k, i), (i, k) -> (i)], iterator_types = ["parallel", "reduction"]}
        ins(%x, %w : memref<64xf32>, memref<64x16xf32>) outs(%y : memref<16xf32>) { mulf, addf }
    // becomes
    %init = vector.load %y[%c0] : memref<16xf32>, vector<16xf32>
    %sum = scf.for %k = %c0 to %c64 step %c1 iter_args(%acc = %init) -> (vector<16xf32>) {
      %a = memref.load %x[%k] : memref<64xf32>
      %b = vector.load %w[%k, %c0] : memref<64x16xf32>, vector<16xf32>
      %v = vector.broadcast %a : f32 to vector<16xf32>
      %next = math.fma %v, %b, %acc : vector<16xf32>
      scf.yield %next : vector<16xf32>
    }
    vector.store %sum, %y[%c0] : memref<16xf32>, vector<16xf32>
    ```
  }];
  let options = [
    Option<"lanes", "lanes", "unsigned", "16", "f32 lanes of the widest vector: 16, 8, 4, 2 or 1 (scalar loops)">,
    Option<"threads", "threads", "bool", "false", "loops of large sums are shared between threads">,
    Option<"explain", "explain", "bool", "false", "a remark for each op: which loops became lanes and blocks, and what an iteration costs">
  ];
  let statistics = [
    Statistic<"numVector", "vector", "ops lowered to vector loops">,
    Statistic<"numScalar", "scalar", "ops lowered to scalar loops">
  ];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::affine::AffineDialect", "::mlir::amx::AMXDialect", "::lnn::LnnDialect"];
}

def LnnExpandMathPass : Pass<"lnn-expand-math"> {
  let summary = "expand elementary functions to polynomials";
  let description = [{
    Elementary functions of `math` and the activations of `lnn`, on f32 and f64, scalars and vectors, become sequences of arith
    operations and `math.fma`: the same sequence whatever the number of lanes, so that every lane and every target
    computes the same bits. f16 and bf16 are computed in f32. `lnn.pair_dot` becomes the instruction of AVX512-BF16, or multiply-adds, `lnn.quad_dot` that of VNNI, or
    multiplications. What maps to
    instructions stays (`sqrt`, `fma`, `floor`, `ceil`, `trunc`, `roundeven`, `absf`, `copysign`). lib/Codegen/Math*.cpp state the method and the largest error of each function.
  }];
  let options = [
    Option<"avx512", "avx512", "bool", "false", "use instructions of AVX-512 F, VL and DQ, where they compute the same bits">,
    Option<"pairs", "pairs", "bool", "false", "use the instruction of AVX512-BF16 for lnn.pair_dot">,
    Option<"quads", "quads", "bool", "false", "use the instruction of VNNI for lnn.quad_dot">,
    Option<"fast", "fast", "bool", "false", "exp, tanh, the sigmoid and what is made of it to within 1e-4, in f32">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::vector::VectorDialect",
                           "::mlir::LLVM::LLVMDialect"];
}

def LnnExpandHalfPass : Pass<"lnn-expand-half"> {
  let summary = "expand conversions of bf16 and f16 to integer arithmetic";
  let description = [{
    `arith.extf` and `arith.truncf` between bf16 and f32 or f64 become shifts and additions of integers, rounded to nearest, ties
    to even, NaNs kept: few processors have an instruction, and LLVM calls a function of its runtime library otherwise. With `f16`,
    for processors that have none, those of f16 too. From f64, what f32 cuts off is kept in its last bit, so that
    rounding twice is rounding once.

    ```mlir
    %y = arith.extf %x : bf16 to f32
    // becomes
    %0 = arith.bitcast %x : bf16 to i16
    %1 = arith.extui %0 : i16 to i32
    %2 = arith.shli %1, %c16 : i32
    %y = arith.bitcast %2 : i32 to f32
    ```
  }];
  let options = [
    Option<"f16", "f16", "bool", "false", "conversions of f16 too">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def LnnPipelineLoopsPass : Pass<"lnn-pipeline-loops"> {
  let summary = "let iterations of innermost loops overlap";
  let description = [{
    Software pipelining of loops that sum values of long chains, such as an LTC's sums of gates: each iteration is cut into stages, and the
    loop computes the last stage of one iteration, the stage before of the next one, and so on, side by side. What comes before and after is
    written out. Nothing is computed in another way: the bits stay the same.

    The order is a modulo schedule's: two operations begin in a cycle, the longest chain first; the interval between iterations is the shortest
    for which registers suffice. Loops are left that store, whose number of iterations is not known or small, that have no long chain, or whose
    carried values would be late.
  }];
  let options = [
    Option<"registers", "registers", "unsigned", "32", "vector registers">
  ];
  let statistics = [
    Statistic<"numPipelined", "pipelined", "loops whose iterations overlap">
  ];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::scf::SCFDialect"];
}

def LnnScheduleChainsPass : Pass<"lnn-schedule-chains"> {
  let summary = "put independent chains of operations side by side";
  let description = [{
    An expanded elementary function is a chain of operations that wait for each other, and a processor looks ahead some hundred
    operations. Straight code (what is between stores, calls and loops) whose longest chain takes longer than 24 cycles is put into the order in
    which a machine would begin the operations that had all of them to choose from: two at a time, the longest chain first, as long as there
    are registers.

    ```mlir
    %a = math.fma %x, %c, %d : vector<16xf32>
    %b = math.fma %a, %x, %e : vector<16xf32>
    %f = math.fma %y, %c, %d : vector<16xf32>
    %g = math.fma %f, %y, %e : vector<16xf32>
    // becomes: %a, %f, %b, %g
    ```
  }];
  let options = [
    Option<"registers", "registers", "unsigned", "32", "vector registers">
  ];
  let statistics = [
    Statistic<"numScheduled", "scheduled", "runs of straight code put into another order">
  ];
}

def LnnSplitSizesPass : Pass<"lnn-split-sizes"> {
  let summary = "expand memref.expand_shape into several dynamic sizes";
  let description = [{
    A `memref.expand_shape` with two or more dynamic sizes in one group, which `expand-strided-metadata` cannot take, becomes a
    `memref.reinterpret_cast`: strides are products of the sizes, which are operands.

    ```mlir
    %y = memref.expand_shape %x [[0, 1]] output_shape [%a, %b] : memref<?xf32> into memref<?x?xf32>
    // becomes
    %buffer, %offset, %size, %stride = memref.extract_strided_metadata %x : memref<?xf32> -> ...
    %y = memref.reinterpret_cast %buffer to offset: [0], sizes: [%a, %b], strides: [%b, 1] : memref<f32> to memref<?x?xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect"];
}
#endif
