// Operations of the lnn dialect for buffers: where a compiled function's memory comes from, and what is written to it
// first. They are made for bufferization or behind it, and are gone once the entry points are lowered.
#ifndef LNN_BUFFER_OPS
#define LNN_BUFFER_OPS

include "lnn/LnnDialect.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Lnn_OutputOp : Lnn_Op<"output"> {
  let summary = "the caller's buffer of one result";
  let description = [{
    The memory that result `index` of the model is written to. The operands are its dynamic sizes. Where they follow from the
    arguments' sizes the caller has set the memory aside; otherwise it is asked for when control reaches the op, and the
    run ends if there is none.

    ```mlir
    %y = lnn.output 0(%batch) : memref<?x4xf32>
    ```
  }];
  let arguments = (ins ConfinedAttr<I64Attr, [IntNonNegative]>:$index, Variadic<Index>:$sizes);
  let results = (outs AnyStridedMemRef:$buffer);
  let assemblyFormat = "$index `(` $sizes `)` attr-dict `:` type($buffer)";
  let hasVerifier = 1;
}

def Lnn_ArenaOp : Lnn_Op<"arena"> {
  let summary = "the scratch memory that is planned before a run";
  let description = [{
    The one buffer that every temporary of known size lives in, aligned to 64 bytes. The operand is the size in bytes, a function
    of the arguments' sizes: the caller learns it before the run and sets the memory aside.
  }];
  let arguments = (ins Index:$bytes);
  let results = (outs MemRefOf<[I8]>:$buffer);
  let assemblyFormat = "$bytes attr-dict `:` type($buffer)";
}

def Lnn_ScratchOp : Lnn_Op<"scratch"> {
  let summary = "memory for a temporary whose size depends on data";
  let description = [{
    Asks the caller for memory that stays alive until the run ends; the run ends if there is none. The operands are
    the dynamic sizes.
  }];
  let arguments = (ins Variadic<Index>:$sizes);
  let results = (outs AnyStridedMemRef:$buffer);
  let assemblyFormat = "`(` $sizes `)` attr-dict `:` type($buffer)";
  let hasVerifier = 1;
}

def Lnn_ThreadsOp : Lnn_Op<"threads", [Pure]> {
  let summary = "how many threads may share a loop of this run";
  let description = [{
    One, or as many as the caller has to lend. Results must not depend on it.

    ```mlir
    %n = lnn.threads
    ```
  }];
  let results = (outs Index:$count);
  let assemblyFormat = "attr-dict";
}

def Lnn_RunPartsOp : Lnn_Op<"run_parts"> {
  let summary = "run a function for each part of a loop, on the caller's threads";
  let description = [{
    Calls `callee` with each number below `count` and the operands, in any order and at the same time, and waits for all of them. Where
    `count` is one, it is an ordinary call.

    ```mlir
    lnn.run_parts @part(%x, %y) in %count : memref<4xf32>, memref<8xf32>
    ```

    Constraints:
    * (C1) `callee` is a function of the module that takes an index and the operands, and returns nothing.
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<AnyType>:$shared, Index:$count);
  let assemblyFormat = "$callee `(` $shared `)` `in` $count attr-dict (`:` type($shared)^)?";
}

def Lnn_StartOp : Lnn_Op<"start", [Pure, AllTypesMatch<["accumulator", "value", "result"]>]> {
  let summary = "what the accumulator of a reduction begins with";
  let description = [{
    In the body of a `linalg.generic`, where an output's accumulator begins with an element of an input instead of what the output
    holds: `value` in the first iteration of the reductions, `accumulator` in all others. A bias, or what was computed before a loop,
    is then read where it lies, and not copied into the output first.

    ```mlir
    %y = linalg.generic {...} ins(%x, %w, %bias : ...) outs(%nothing : tensor<4x8xf32>) {
    ^bb0(%a: f32, %b: f32, %first: f32, %sum: f32):
      %before = lnn.start %sum from %first : f32
      %term = arith.mulf %a, %b : f32
      %next = arith.addf %before, %term : f32
      linalg.yield %next : f32
    } -> tensor<4x8xf32>
    ```

    Constraints:
    * (C1) `accumulator` is the block argument of an output of a `linalg.generic`, `value` of an input that does not vary in its reductions.
  }];
  let arguments = (ins AnyType:$accumulator, AnyType:$value);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$accumulator `from` $value attr-dict `:` type($result)";
  let hasVerifier = 1;
}
#endif
