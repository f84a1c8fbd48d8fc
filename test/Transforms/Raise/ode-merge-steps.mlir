// RUN: lnn-opt %s --pass-pipeline='builtin.module(func.func(ode-merge-steps))' | FileCheck %s

// CHECK-LABEL: @every_state
// CHECK: %[[AT:.*]] = arith.constant dense<[1.250000e-01, 2.500000e-01, 3.750000e-01, 5.000000e-01]> : tensor<4xf64>
// CHECK: %[[Y:.*]] = ode.solve %arg0 at %[[AT]] method <rk4, steps = 1> : tensor<3x2xf32>, tensor<4xf64> {
// CHECK-NEXT: ^bb0(%{{.*}}: f64, %{{.*}}: tensor<3x2xf32>)
// CHECK: %[[E:.*]] = tensor.expand_shape %[[Y]] {{\[\[}}0], [1, 2], [3]] output_shape [4, 1, 3, 2]
// CHECK: %[[L:.*]] = tensor.extract_slice %[[Y]][3, 0, 0] [1, 3, 2]
// CHECK: return %[[E]], %[[L]]
func.func @every_state(%h0: tensor<3x2xf32>) -> (tensor<4x1x3x2xf32>, tensor<3x2xf32>) {
  %n = arith.constant 4 : index
  %dt = arith.constant 0.125 : f32
  %y, %hn = lnn.scan %i of %n carrying (%h = %h0) stacking (dim 0)
      : (tensor<3x2xf32>) -> (tensor<4x1x3x2xf32>, tensor<3x2xf32>) {
    %next = ode.solve %h for %dt method <rk4, steps = 1> : tensor<3x2xf32>, f32 {
    ^bb0(%t: f32, %s: tensor<3x2xf32>):
      %d = arith.negf %s : tensor<3x2xf32>
      ode.yield %d : tensor<3x2xf32>
    }
    %e = tensor.expand_shape %next [[0, 1], [2]] output_shape [1, 3, 2] : tensor<3x2xf32> into tensor<1x3x2xf32>
    lnn.yield %e : tensor<1x3x2xf32> carrying %next : tensor<3x2xf32>
  }
  return %y, %hn : tensor<4x1x3x2xf32>, tensor<3x2xf32>
}

// CHECK-LABEL: @last_state
// CHECK: %[[DT:.*]] = arith.constant 5.000000e-01 : f32
// CHECK: ode.solve %arg0 for %[[DT]] method <euler, steps = 8> : tensor<?x2xf32>, f32
func.func @last_state(%h0: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %n = arith.constant 4 : index
  %dt = arith.constant 0.125 : f32
  %hn = lnn.scan %i of %n carrying (%h = %h0) : (tensor<?x2xf32>) -> tensor<?x2xf32> {
    %next = ode.solve %h for %dt method <euler, steps = 2> : tensor<?x2xf32>, f32 {
    ^bb0(%t: f32, %s: tensor<?x2xf32>):
      %d = arith.negf %s : tensor<?x2xf32>
      ode.yield %d : tensor<?x2xf32>
    }
    lnn.yield carrying %next : tensor<?x2xf32>
  }
  return %hn : tensor<?x2xf32>
}

// Steps of their own lengths, as of a grid whose times were rounded.
// CHECK-LABEL: @durations
// CHECK: %[[AT:.*]] = arith.constant dense<[1.000000e+00, 3.000000e+00, 3.500000e+00]> : tensor<3xf64>
// CHECK: ode.solve %arg0 at %[[AT]]
// CHECK-NOT: lnn.scan
func.func @durations(%h0: tensor<2xf32>) -> tensor<3x2xf32> {
  %n = arith.constant 3 : index
  %dts = arith.constant dense<[1.0, 2.0, 0.5]> : tensor<3xf32>
  %y, %hn = lnn.scan %i of %n over (%d = %dts dim 0) carrying (%h = %h0) stacking (dim 0)
      : (tensor<3xf32>, tensor<2xf32>) -> (tensor<3x2xf32>, tensor<2xf32>) {
    %dt = tensor.extract %d[] : tensor<f32>
    %next = ode.solve %h for %dt method <heun, steps = 1> : tensor<2xf32>, f32 {
    ^bb0(%t: f32, %s: tensor<2xf32>):
      %r = arith.negf %s : tensor<2xf32>
      ode.yield %r : tensor<2xf32>
    }
    lnn.yield %next : tensor<2xf32> carrying %next : tensor<2xf32>
  }
  return %y : tensor<3x2xf32>
}

// No f64 time lies so far behind another.
// CHECK-LABEL: @no_exact_times
// CHECK: lnn.scan
func.func @no_exact_times(%h0: tensor<2xf32>) -> tensor<2x2xf32> {
  %n = arith.constant 2 : index
  %dts = arith.constant dense<[1.0e+10, 1.0e-10]> : tensor<2xf32>
  %y, %hn = lnn.scan %i of %n over (%d = %dts dim 0) carrying (%h = %h0) stacking (dim 0)
      : (tensor<2xf32>, tensor<2xf32>) -> (tensor<2x2xf32>, tensor<2xf32>) {
    %dt = tensor.extract %d[] : tensor<f32>
    %next = ode.solve %h for %dt method <euler, steps = 1> : tensor<2xf32>, f32 {
    ^bb0(%t: f32, %s: tensor<2xf32>):
      %r = arith.negf %s : tensor<2xf32>
      ode.yield %r : tensor<2xf32>
    }
    lnn.yield %next : tensor<2xf32> carrying %next : tensor<2xf32>
  }
  return %y : tensor<2x2xf32>
}

// The field reads the step's number: it is not the same in all.
// CHECK-LABEL: @field_of_the_step
// CHECK: lnn.scan
func.func @field_of_the_step(%h0: tensor<2xf32>, %x: tensor<4x2xf32>) -> tensor<2xf32> {
  %n = arith.constant 4 : index
  %dt = arith.constant 0.125 : f32
  %hn = lnn.scan %i of %n over (%xt = %x dim 0) carrying (%h = %h0) : (tensor<4x2xf32>, tensor<2xf32>) -> tensor<2xf32> {
    %next = ode.solve %h for %dt method <euler, steps = 1> : tensor<2xf32>, f32 {
    ^bb0(%t: f32, %s: tensor<2xf32>):
      %r = arith.subf %xt, %s : tensor<2xf32>
      ode.yield %r : tensor<2xf32>
    }
    lnn.yield carrying %next : tensor<2xf32>
  }
  return %hn : tensor<2xf32>
}

// Equal solves that follow each other; not those of other fields, or whose
// states are read.
// CHECK-LABEL: @chain
// CHECK: %[[DT:.*]] = arith.constant 2.500000e-01 : f32
// CHECK: %[[A:.*]] = ode.solve %arg0 for %[[DT]] method <heun, steps = 2>
// CHECK: %[[B:.*]] = ode.solve %[[A]] for %{{.*}} method <heun, steps = 1>
// CHECK: %[[C:.*]] = ode.solve %[[B]] for %{{.*}} method <heun, steps = 1>
// CHECK: return %[[B]], %[[C]]
func.func @chain(%h0: tensor<3x2xf32>, %x: tensor<3x2xf32>) -> (tensor<3x2xf32>, tensor<3x2xf32>) {
  %dt = arith.constant 0.125 : f32
  %h1 = ode.solve %h0 for %dt method <heun, steps = 1> : tensor<3x2xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<3x2xf32>):
    %d = arith.mulf %s, %x : tensor<3x2xf32>
    ode.yield %d : tensor<3x2xf32>
  }
  %h2 = ode.solve %h1 for %dt method <heun, steps = 1> : tensor<3x2xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<3x2xf32>):
    %d = arith.mulf %s, %x : tensor<3x2xf32>
    ode.yield %d : tensor<3x2xf32>
  }
  %h3 = ode.solve %h2 for %dt method <heun, steps = 1> : tensor<3x2xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<3x2xf32>):
    %d = arith.mulf %s, %s : tensor<3x2xf32>
    ode.yield %d : tensor<3x2xf32>
  }
  %h4 = ode.solve %h3 for %dt method <heun, steps = 1> : tensor<3x2xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<3x2xf32>):
    %d = arith.mulf %s, %s : tensor<3x2xf32>
    ode.yield %d : tensor<3x2xf32>
  }
  return %h3, %h4 : tensor<3x2xf32>, tensor<3x2xf32>
}
