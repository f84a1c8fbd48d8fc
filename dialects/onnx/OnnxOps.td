// The import level: ONNX nodes one to one, before anything is expanded. Internal; one op for every operator.
#ifndef LNN_ONNX_OPS
#define LNN_ONNX_OPS

include "mlir/IR/OpBase.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Onnx_Dialect : Dialect {
  let name = "onnx";
  let cppNamespace = "::lnn::onnx";
  let summary = "The user's ONNX graph, node for node";
  let description = [{
    An internal dialect: the importer writes it, `convert-onnx-to-lnn` takes it away. It has one operation for every
    ONNX operator (`onnx.node`), one that stands for an omitted optional input (`onnx.none`) and a terminator for
    subgraphs (`onnx.yield`). What is known of an operator (types, folding, expansion) stands in one table,
    `lib/Frontend/Onnx`.
  }];
}

class Onnx_Op<string mnemonic, list<Trait> traits = []> : Op<Onnx_Dialect, mnemonic, traits>;

def Onnx_NodeOp : Onnx_Op<"node", [Pure]> {
  let summary = "one node of an ONNX graph";
  let description = [{
    `op_type` and `domain` name the operator, `opset` is the version of its domain that the model imports, and
    `node_attrs` holds the node's attributes as MLIR attributes: integers as `i64`, floats as `f32`, lists as dense
    arrays, strings as strings, tensors as elements attributes. Subgraph attributes become regions, in the
    order of their names, which `region_names` lists. The node's name in the user's model is its location.

    ```mlir
    %0 = onnx.node "ReduceSum"(%x, %axes) {keepdims = 0 : i64} opset 17 : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<2xf32>
    ```

    Constraints:
    * (C1) `op_type` is not empty.
    * (C2) inputs and outputs are tensors, or `none`.
    * (C3) `region_names` has a name for each region; each region is one block that ends in `onnx.yield`.

    Whether inputs, attributes and subgraphs are those of the operator is not checked here but by its row of the table.
  }];
  let arguments = (ins Variadic<AnyType>:$inputs, StrAttr:$op_type, OptionalAttr<StrAttr>:$domain,
                       I64Attr:$opset, DictionaryAttr:$node_attrs, OptionalAttr<ArrayAttr>:$region_names);
  let results = (outs Variadic<AnyType>:$outputs);
  let regions = (region VariadicRegion<AnyRegion>:$bodies);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Onnx_NoneOp : Onnx_Op<"none", [Pure]> {
  let summary = "an optional input or output that the node leaves out";
  let results = (outs NoneType:$result);
  let assemblyFormat = "attr-dict";
}

def Onnx_YieldOp : Onnx_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "the outputs of a subgraph";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}
#endif
