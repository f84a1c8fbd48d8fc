// RUN: lnn-opt %s --split-input-file --verify-diagnostics | lnn-opt --split-input-file | FileCheck %s

// CHECK: lnn.dims = ["batch", 4], lnn.name = "h", lnn.next = "hn", lnn.role = "state"
// CHECK: lnn.name = "hn", lnn.prev = "h", lnn.role = "state"
func.func @good(%x: tensor<?x4xf32> {lnn.name = "x", lnn.role = "input", lnn.dims = ["batch", 4]},
                %dt: tensor<?x1xf32> {lnn.role = "dt", lnn.dims = ["batch", 1]}, %k: tensor<2xi8> {lnn.dtype = "uint8"},
                %h: tensor<?x4xf32> {lnn.name = "h", lnn.role = "state", lnn.next = "hn", lnn.dims = ["batch", 4]})
    -> (tensor<?x4xf32> {lnn.name = "y", lnn.role = "output"}, tensor<?x4xf32> {lnn.name = "hn", lnn.role = "state", lnn.prev = "h"}) {
  return %x, %h : tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

// expected-error @+1 {{argument #0 ('arg0') of @f: "lnn.name" must be a string that isn't empty, found ""}}
func.func private @f(tensor<2xf32> {lnn.name = ""})

// -----

// expected-error @+1 {{argument #1 ('x') of @f: argument #0 has the same lnn.name}}
func.func private @f(tensor<2xf32> {lnn.name = "x"}, tensor<2xf32> {lnn.name = "x"})

// -----

// A name may be one that the border would give.
// expected-error @+1 {{argument #1 ('arg0') of @f: argument #0 has the same lnn.name}}
func.func private @f(tensor<2xf32>, tensor<2xf32> {lnn.name = "arg0"})

// -----

// expected-error @+1 {{result #0 ('out0') of @f: lnn.role is 'dt'; output or state was expected}}
func.func private @f() -> (tensor<2xf32> {lnn.role = "dt"})

// -----

// expected-error @+1 {{result #0 ('out0') of @f: it is to replace state 'h', but there is no such argument}}
func.func private @f() -> (tensor<2xf32> {lnn.prev = "h"})

// -----

// expected-error @+1 {{argument #0 ('h') of @f: it is of type 'tensor<2xf32>', but result 'hn', its next value, is of type 'tensor<3xf32>'}}
func.func private @f(tensor<2xf32> {lnn.name = "h", lnn.next = "hn"}) -> (tensor<3xf32> {lnn.name = "hn"})

// -----

// expected-error @+1 {{result #0 ('hn') of @f: it is of type 'tensor<2xf32>', but argument 'h', its previous value, is of type 'tensor<2xf64>'}}
func.func private @f(tensor<2xf64> {lnn.name = "h"}) -> (tensor<2xf32> {lnn.name = "hn", lnn.prev = "h"})

// -----

// expected-error @+1 {{argument #0 ('arg0') of @f: lnn.dims must have one entry for each dimension of 'tensor<?x2xf32>', found ["n"]}}
func.func private @f(tensor<?x2xf32> {lnn.dims = ["n"]})

// -----

// expected-error @+1 {{argument #0 ('arg0') of @f: lnn.dims must have one entry for each dimension of 'tensor<?xf32>', found "n"}}
func.func private @f(tensor<?xf32> {lnn.dims = "n"})

// -----

// expected-error @+1 {{argument #0 ('arg0') of @f: lnn.dims[0] must be a name or a size, found 1.5}}
func.func private @f(tensor<?xf32> {lnn.dims = [1.5]})

// -----

// expected-error @+1 {{argument #0 ('arg0') of @f: lnn.dims[0] must be a name or a size, found -1 : i64}}
func.func private @f(tensor<?xf32> {lnn.dims = [-1]})

// -----

// expected-error @+1 {{argument #0 ('arg0') of @f: lnn.dims[1] is 3, but its type is 'tensor<?x2xf32>'}}
func.func private @f(tensor<?x2xf32> {lnn.dims = ["n", 3]})

// -----

// expected-error @+1 {{argument #0 ('arg0') of @f: unknown attribute lnn.nmae; lnn.name, lnn.role, lnn.dims, lnn.dtype or lnn.next was expected}}
func.func private @f(tensor<2xf32> {lnn.nmae = "x"})

// -----

// expected-error @+1 {{result #0 ('out0') of @f: unknown attribute lnn.next; lnn.name, lnn.role, lnn.dims, lnn.dtype or lnn.prev was expected}}
func.func private @f() -> (tensor<2xf32> {lnn.next = "h"})

// -----

// expected-error @+1 {{has lnn.role, which belongs on a function's argument or result}}
func.func private @f() attributes {lnn.role = "input"}
