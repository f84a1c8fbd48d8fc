// RUN: lnn-opt %s --split-input-file --verify-diagnostics | lnn-opt --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @good
// CHECK: lnn.output 0(%{{.*}}) : memref<?x4xf32>
// CHECK: lnn.arena %{{.*}} : memref<?xi8>
// CHECK: lnn.scratch(%{{.*}}) : memref<?xf32>
// CHECK: lnn.check %{{.*}}, "sizes must agree"
// CHECK: %[[START:.*]] = lnn.enter_region
// CHECK: lnn.leave_region 3 since %[[START]] counting %{{.*}} operations, %{{.*}} bytes
// CHECK: %[[THREADS:.*]] = lnn.threads
// CHECK: lnn.run_parts @part(%{{.*}}, %{{.*}}) in %[[THREADS]] : memref<?x4xf32>, index
// CHECK: lnn.run_parts @nothing() in %[[THREADS]]
func.func @good(%n: index, %c: i1) {
  %y = lnn.output 0(%n) : memref<?x4xf32>
  %a = lnn.arena %n : memref<?xi8>
  %s = lnn.scratch(%n) : memref<?xf32>
  lnn.check %c, "sizes must agree"
  %start = lnn.enter_region
  lnn.leave_region 3 since %start counting %n operations, %n bytes
  %threads = lnn.threads
  lnn.run_parts @part(%y, %n) in %threads : memref<?x4xf32>, index
  lnn.run_parts @nothing() in %threads
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

// -----

// CHECK-LABEL: func.func @start
// CHECK: lnn.start %{{.*}} from %{{.*}} : f32
func.func @start(%x: tensor<4x8xf32>, %b: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %r = linalg.generic {indexing_maps = [affine_map<(i, k) -> (i, k)>, affine_map<(i, k) -> (i)>, affine_map<(i, k) -> (i)>],
      iterator_types = ["parallel", "reduction"]} ins(%x, %b : tensor<4x8xf32>, tensor<4xf32>) outs(%y : tensor<4xf32>) {
  ^bb0(%a: f32, %first: f32, %sum: f32):
    %s = lnn.start %sum from %first : f32
    %n = arith.addf %s, %a : f32
    linalg.yield %n : f32
  } -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----

func.func @start_no_accumulator(%x: tensor<4x8xf32>, %b: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %r = linalg.generic {indexing_maps = [affine_map<(i, k) -> (i, k)>, affine_map<(i, k) -> (i)>, affine_map<(i, k) -> (i)>],
      iterator_types = ["parallel", "reduction"]} ins(%x, %b : tensor<4x8xf32>, tensor<4xf32>) outs(%y : tensor<4xf32>) {
  ^bb0(%a: f32, %first: f32, %sum: f32):
    // expected-error @+1 {{needs an output's argument of the body to start}}
    %s = lnn.start %first from %first : f32
    %n = arith.addf %s, %a : f32
    linalg.yield %n : f32
  } -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----

func.func @start_no_input(%x: tensor<4x8xf32>, %b: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %r = linalg.generic {indexing_maps = [affine_map<(i, k) -> (i, k)>, affine_map<(i, k) -> (i)>, affine_map<(i, k) -> (i)>],
      iterator_types = ["parallel", "reduction"]} ins(%x, %b : tensor<4x8xf32>, tensor<4xf32>) outs(%y : tensor<4xf32>) {
  ^bb0(%a: f32, %first: f32, %sum: f32):
    // expected-error @+1 {{needs an input's argument of the body to start from}}
    %s = lnn.start %sum from %sum : f32
    %n = arith.addf %s, %a : f32
    linalg.yield %n : f32
  } -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----

func.func @start_varies(%x: tensor<4x8xf32>, %b: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %r = linalg.generic {indexing_maps = [affine_map<(i, k) -> (i, k)>, affine_map<(i, k) -> (i)>, affine_map<(i, k) -> (i)>],
      iterator_types = ["parallel", "reduction"]} ins(%x, %b : tensor<4x8xf32>, tensor<4xf32>) outs(%y : tensor<4xf32>) {
  ^bb0(%a: f32, %first: f32, %sum: f32):
    // expected-error @+1 {{starts from input 0, which varies in reduction 1}}
    %s = lnn.start %sum from %a : f32
    %n = arith.addf %s, %a : f32
    linalg.yield %n : f32
  } -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----

func.func @start_outside(%a: f32, %b: f32) -> f32 {
  // expected-error @+1 {{must be in the body of a linalg.generic}}
  %s = lnn.start %a from %b : f32
  return %s : f32
}

// -----

func.func @leave_region_number(%start: i64, %n: index) {
  // expected-error @+1 {{attribute 'number' failed to satisfy constraint: 64-bit signless integer attribute whose value is non-negative}}
  lnn.leave_region -1 since %start counting %n operations, %n bytes
  return
}
