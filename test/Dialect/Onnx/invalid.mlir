// RUN: lnn-opt %s --split-input-file --verify-diagnostics

func.func @node_c1(%x: tensor<2xf32>) {
  // expected-error @+1 {{needs an op_type that isn't empty}}
  %0 = onnx.node ""(%x) opset 17 : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @node_c2_input(%x: i32) {
  // expected-error @+1 {{input 0 must be a tensor or none, found 'i32'}}
  %0 = onnx.node "Neg"(%x) opset 17 : (i32) -> tensor<2xf32>
  return
}

// -----

func.func @node_c2_output(%x: tensor<2xf32>) {
  // expected-error @+1 {{output 1 must be a tensor or none, found 'memref<2xf32>'}}
  %0:2 = onnx.node "Neg"(%x) opset 17 : (tensor<2xf32>) -> (tensor<2xf32>, memref<2xf32>)
  return
}

// -----

func.func @node_c3_names(%x: tensor<2xf32>) {
  // expected-error @+1 {{has 1 bodies, but 0 region_names}}
  "onnx.node"() <{op_type = "Loop", opset = 17 : i64, node_attrs = {}}> ({
    "onnx.yield"(%x) : (tensor<2xf32>) -> ()
  }) : () -> ()
  return
}

// -----

func.func @node_c3_name(%x: tensor<2xf32>) {
  // expected-error @+1 {{region_names[0] must be a string that isn't empty, found 1 : i64}}
  "onnx.node"() <{op_type = "Loop", opset = 17 : i64, node_attrs = {}, region_names = [1]}> ({
    "onnx.yield"(%x) : (tensor<2xf32>) -> ()
  }) : () -> ()
  return
}

// -----

func.func @node_c3_empty() {
  // expected-error @+1 {{body 0 must be one block, found 0}}
  onnx.node "Loop"() opset 17 bodies ["body"] {} : () -> ()
  return
}

// -----

func.func @node_c3_blocks(%x: tensor<2xf32>) {
  // expected-error @+1 {{body 0 must be one block, found 2}}
  onnx.node "Loop"() opset 17 bodies ["body"] {
    cf.br ^bb1
  ^bb1:
    onnx.yield %x : tensor<2xf32>
  } : () -> ()
  return
}

// -----

func.func @node_c3_end(%x: tensor<2xf32>) {
  // expected-error @+1 {{body 0 must end in onnx.yield}}
  onnx.node "Loop"() opset 17 bodies ["body"] {
    llvm.unreachable
  } : () -> ()
  return
}

// -----

func.func @node_c3_argument() {
  // expected-error @+1 {{argument 0 of body 0 must be a tensor, found 'index'}}
  onnx.node "Loop"() opset 17 bodies ["body"] {
  ^bb0(%i: index):
    onnx.yield
  } : () -> ()
  return
}

// -----

// The parser's own.
func.func @parse_opset(%x: tensor<2xf32>) {
  // expected-error @+1 {{expected 'opset'}}
  %0 = onnx.node "Neg"(%x) : (tensor<2xf32>) -> tensor<2xf32>
  return
}
