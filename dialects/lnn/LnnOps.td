// Operations of the lnn dialect.
#ifndef LNN_OPS
#define LNN_OPS

include "lnn/LnnDialect.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/LoopLikeInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

//===----------------------------------------------------------------------===//
// Activations: elementwise-mappable, expanded last, on vectors.
//===----------------------------------------------------------------------===//

class Lnn_UnaryOp<string mnemonic> : Lnn_Op<mnemonic, [Pure, SameOperandsAndResultType] # ElementwiseMappable.traits> {
  let arguments = (ins FloatLike:$operand);
  let results = (outs FloatLike:$result);
  let assemblyFormat = "$operand attr-dict `:` type($result)";
  let hasFolder = 1;
}

def Lnn_SigmoidOp : Lnn_UnaryOp<"sigmoid"> {
  let summary = "1 / (1 + exp(-x))";
}
def Lnn_SoftplusOp : Lnn_UnaryOp<"softplus"> {
  let summary = "log(1 + exp(x))";
}
def Lnn_SiluOp : Lnn_UnaryOp<"silu"> {
  let summary = "x * sigmoid(x)";
}
def Lnn_GeluOp : Lnn_UnaryOp<"gelu"> {
  let summary = "x * (1 + erf(x / sqrt(2))) / 2";
}
def Lnn_GateOp : Lnn_UnaryOp<"gate"> {
  let summary = "1 / (1 + 2^x), to within 1.5e-7";
  let description = [{
    A sigmoid for sums of many: `sigmoid(a x + c)` is `gate(-log2(e) (a x + c))`, where the factor goes into the parameters. Its error is
    absolute, at most 1.5e-7, for what is weighted and added; a sigmoid that is a result of its own is `lnn.sigmoid`. 0 at inf, 1 at -inf.

    ```mlir
    %y = math.fma %v, %slope, %offset : f32
    %g = lnn.gate %y : f32
    ```
  }];
}

def Lnn_GateDenominatorOp : Lnn_UnaryOp<"gate_denominator"> {
  let summary = "1 + 2^min(x, 62), what a gate divides by";
  let description = [{
    Two gates of a sum share a division: with a and b what they divide by, `w gate(x) + v gate(y)` is `(w b + v a) / (a b)`, within
    2.4e-7 (|w| + |v|), the rounding of the addition included. The limit keeps the product of two finite; what is lost by it is below 2^-62.

    ```mlir
    %a = lnn.gate_denominator %x : f32
    %b = lnn.gate_denominator %y : f32
    ```
  }];
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

def Lnn_Words : TypeOrValueSemanticsContainer<I32, "i32">;
def Lnn_Singles : TypeOrValueSemanticsContainer<F32, "f32">;

def Lnn_PairDotOp : Lnn_Op<"pair_dot", [Pure, AllTypesMatch<["lhs", "rhs"]>,
    AllTypesMatch<["accumulator", "result"]>] # ElementwiseMappable.traits> {
  let summary = "accumulator + the products of two pairs of bf16";
  let description = [{
    A word holds two bf16, the first in its lower half: the result is `accumulator + first(lhs) first(rhs) + second(lhs) second(rhs)` in
    f32. In what order they are added, whether between the additions is rounded, and what becomes of denormals is the processor's to say:
    AVX512-BF16 adds the second ones first and takes denormals, read or made, for zeros; where there is no such instruction, they are two
    fused multiply-adds, the first ones first.

    ```mlir
    %next = lnn.pair_dot %x, %w, %sum : i32, f32
    ```
  }];
  let arguments = (ins Lnn_Words:$lhs, Lnn_Words:$rhs, Lnn_Singles:$accumulator);
  let results = (outs Lnn_Singles:$result);
  let assemblyFormat = "$lhs `,` $rhs `,` $accumulator attr-dict `:` type($lhs) `,` type($result)";
}

def Lnn_QuadDotOp : Lnn_Op<"quad_dot", [Pure, AllTypesMatch<["lhs", "rhs", "accumulator", "result"]>] # ElementwiseMappable.traits> {
  let summary = "accumulator + the products of four pairs of 8-bit integers";
  let description = [{
    A word of `lhs` holds four unsigned integers of 8 bits, one of `rhs` four signed ones, the first the lowest: the result is `accumulator` + the sum
    of their products, modulo 2^32.

    ```mlir
    %next = lnn.quad_dot %x, %w, %sum : i32
    ```
  }];
  let arguments = (ins Lnn_Words:$lhs, Lnn_Words:$rhs, Lnn_Words:$accumulator);
  let results = (outs Lnn_Words:$result);
  let assemblyFormat = "$lhs `,` $rhs `,` $accumulator attr-dict `:` type($result)";
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

def Lnn_CheckOp : Lnn_Op<"check", []> {
  let summary = "report an error to the caller where a condition does not hold";
  let description = [{
    Where `condition` is false the run ends here with an error that carries `message`. What follows and has no side
    effects may have been moved in front of the op: it must stay within memory whatever the condition was (clamp indices
    first). A condition that depends on the sizes of the function's arguments alone is tested before anything runs.

    ```mlir
    lnn.check %same, "Add_3: the first operand's dimension 0 must equal the second's"
    ```
  }];
  let arguments = (ins I1:$condition, StrAttr:$message);
  let assemblyFormat = "$condition `,` $message attr-dict";
}

//===----------------------------------------------------------------------===//
// Scan
//===----------------------------------------------------------------------===//

def Lnn_ScanOp : Lnn_Op<"scan", [SingleBlockImplicitTerminator<"YieldOp">, RecursiveMemoryEffects,
    AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<LoopLikeOpInterface, ["getYieldedValuesMutable", "getRegionIterArgs", "getLoopResults"]>,
    DeclareOpInterfaceMethods<RegionBranchOpInterface, ["getEntrySuccessorOperands"]>]> {
  let summary = "run a body over a time axis with carried states";
  let description = [{
    Runs its body once for each of `length` time steps, ascending. The body's arguments are the step's number (`index`),
    one slice of each input (the input without its dimension `dims[i]`, at the step's number, or counted from the end
    where `reverse[i]`), and the states. The body yields the step's outputs, each stacked along `out_dims[i]` (from the end
    where `out_reverse[i]`), and the next states. Results are the stacked outputs, then the last states. As ONNX Scan and
    `lax.scan`. Inputs must have `length` steps.

    ```mlir
    func.func @sum(%x: tensor<?x4xf32>, %h0: tensor<4xf32>, %n: index) -> (tensor<?x4xf32>, tensor<4xf32>) {
      %y, %hn = lnn.scan %t of %n over (%xt = %x dim 0) carrying (%h = %h0) stacking (dim 0)
          : (tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?x4xf32>, tensor<4xf32>) {
        %next = linalg.add ins(%h, %xt : tensor<4xf32>, tensor<4xf32>) outs(%h : tensor<4xf32>) -> tensor<4xf32>
        lnn.yield %next : tensor<4xf32> carrying %next : tensor<4xf32>
      }
      return %y, %hn : tensor<?x4xf32>, tensor<4xf32>
    }
    ```

    Constraints:
    * (C1) `dims` and `reverse` have an entry for each input, `out_dims` and `out_reverse` one for each stacked output; each is a dimension
      of its tensor; inputs of known length agree with each other, and with `length` where it is a constant.
    * (C2) the body takes an index, the slices and the states, of the types that follow.
    * (C3) the results are the stacked outputs and the last states; a state keeps its type; a yielded output is the slice of its result.
  }];
  let arguments = (ins Index:$length, Variadic<AnyRankedTensor>:$inputs, Variadic<AnyType>:$inits,
      DenseI64ArrayAttr:$dims, DenseBoolArrayAttr:$reverse,
      DenseI64ArrayAttr:$out_dims, DenseBoolArrayAttr:$out_reverse);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
  let extraClassDeclaration = [{
    unsigned getNumOutputs() { return getOutDims().size(); }
    ::mlir::BlockArgument getStep() { return getBody().getArgument(0); }
    /// The slices of the inputs, and the states, as the body sees them.
    ::mlir::Block::BlockArgListType getSlices() { return getBody().getArguments().slice(1, getInputs().size()); }
    ::mlir::Block::BlockArgListType getStates() { return getBody().getArguments().drop_front(1 + getInputs().size()); }
    /// The type of a slice along that dimension.
    static ::mlir::RankedTensorType sliceType(::mlir::RankedTensorType type, int64_t dim);
  }];
}

def Lnn_YieldOp : Lnn_Op<"yield", [Pure, Terminator, HasParent<"ScanOp">, AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<RegionBranchTerminatorOpInterface>]> {
  let summary = "a step's outputs and the next states";
  let arguments = (ins Variadic<AnyType>:$outputs, Variadic<AnyType>:$states);
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, mlir::ValueRange(), mlir::ValueRange()); }]>];
  let assemblyFormat = [{
    ($outputs^ `:` type($outputs))? (`carrying` $states^ `:` type($states))? attr-dict
  }];
}

include "lnn/LnnBufferOps.td"
#endif
