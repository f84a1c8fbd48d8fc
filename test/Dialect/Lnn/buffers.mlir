// RUN: lnn-opt %s --split-input-file --verify-diagnostics | lnn-opt --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @good
// CHECK: lnn.output 0(%{{.*}}) : memref<?x4xf32>
// CHECK: lnn.arena %{{.*}} : memref<?xi8>
// CHECK: lnn.scratch(%{{.*}}) : memref<?xf32>
// CHECK: lnn.check %{{.*}}, "sizes must agree"
func.func @good(%n: index, %c: i1) {
  %y = lnn.output 0(%n) : memref<?x4xf32>
  %a = lnn.arena %n : memref<?xi8>
  %s = lnn.scratch(%n) : memref<?xf32>
  lnn.check %c, "sizes must agree"
  return
}

// -----

func.func @output_sizes(%n: index) {
  // expected-error @+1 {{has 1 sizes, but 'memref<?x?xf32>' has 2 dynamic dimensions}}
  %y = lnn.output 0(%n) : memref<?x?xf32>
  return
}

// -----

func.func @output_index() {
  // expected-error @+1 {{attribute 'index' failed to satisfy constraint: 64-bit signless integer attribute whose value is non-negative}}
  %y = lnn.output -1() : memref<4xf32>
  return
}

// -----

func.func @output_layout() {
  // expected-error @+1 {{needs a buffer of identity layout, found 'memref<4xf32, strided<[2]>>'}}
  %y = lnn.output 0() : memref<4xf32, strided<[2]>>
  return
}

// -----

func.func @scratch_sizes() {
  // expected-error @+1 {{has 0 sizes, but 'memref<?xf32>' has 1 dynamic dimensions}}
  %s = lnn.scratch() : memref<?xf32>
  return
}
