// RUN: lnn-opt --lnn-prepare-entry %s --split-input-file --verify-diagnostics

// expected-error @+1 {{the module has no function @main; that is what a model is compiled from}}
module {
  func.func @other() { return }
}

// -----

// expected-error @+1 {{the module has no function @main}}
module {
  func.func private @main(tensor<2xf32>)
}

// -----

// expected-error @+1 {{argument #0 of @main is of type 'f32'; only tensors of known rank cross the border}}
func.func @main(%x: f32) { return }

// -----

// expected-error @+1 {{argument #0 of @main is of type 'tensor<*xf32>'; only tensors of known rank cross the border}}
func.func @main(%x: tensor<*xf32>) { return }

// -----

// expected-error @+1 {{result #0 of @main is of type 'index'; only tensors of known rank cross the border}}
func.func @main() -> index {
  %c = arith.constant 0 : index
  return %c : index
}

// -----

// expected-error @+1 {{argument 'arg0' has elements of type 'i3', which cannot cross the border; use f32, f64, f16, bf16 or integers of 8 to 64 bits}}
func.func @main(%x: tensor<2xi3>) { return }

// -----

// expected-error @+1 {{argument 'arg0' has elements of type 'f32' said to be 'float64', which cannot cross the border}}
func.func @main(%x: tensor<2xf32> {lnn.dtype = "float64"}) { return }

// -----

// expected-error @+1 {{argument 'x' has elements of type 'f32' said to be 'toast', which cannot cross the border}}
func.func @main(%x: tensor<2xf32> {lnn.name = "x", lnn.dtype = "toast"}) { return }

// -----

// expected-error @+1 {{@main has more than one block; write its control flow with scf}}
func.func @main(%x: tensor<2xf32>) {
  cf.br ^bb1
^bb1:
  return
}

// -----

// expected-error @+1 {{state 'h' is of type 'tensor<2xi8>', but result 'hn' that is to replace it is of type 'tensor<2xi8>'}}
func.func @main(%h: tensor<2xi8> {lnn.name = "h", lnn.next = "hn", lnn.dtype = "uint8"}) -> (tensor<2xi8> {lnn.name = "hn", lnn.dtype = "int8"}) {
  return %h : tensor<2xi8>
}
