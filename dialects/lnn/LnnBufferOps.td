// Operations of the lnn dialect on buffers: where a compiled function's memory comes from. They appear behind
// bufferization only, and are gone once the entry points are lowered.
#ifndef LNN_BUFFER_OPS
#define LNN_BUFFER_OPS

include "lnn/LnnDialect.td"

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
#endif
