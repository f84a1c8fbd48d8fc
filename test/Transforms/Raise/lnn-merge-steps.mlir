// RUN: lnn-opt %s --pass-pipeline='builtin.module(func.func(lnn-merge-steps),canonicalize,cse)' | FileCheck %s

// A loop of three cells of two steps each; dt is what it was divided by.
// CHECK-LABEL: @loop
// CHECK-SAME: (%[[H:.*]]: tensor<?x2xf32>, %[[X:.*]]: tensor<?x1xf32>, %[[DT:.*]]: f32,
// CHECK-NOT: lnn.scan
// CHECK: lnn.ctrnn %[[H]], %[[X]] for %[[DT]] method #ode.method<rk4, steps = 6>
func.func @loop(%h0: tensor<?x2xf32>, %x: tensor<?x1xf32>, %dt: f32, %w: tensor<1x2xf32>, %r: tensor<2x2xf32>, %tau: tensor<2xf32>, %b: tensor<2xf32>)
    -> tensor<?x2xf32> {
  %three = arith.constant 3.0 : f32
  %c3 = arith.constant 3 : index
  %d = arith.divf %dt, %three : f32
  %out = lnn.scan %i of %c3 carrying (%h = %h0) : (tensor<?x2xf32>) -> tensor<?x2xf32> {
    %next = lnn.ctrnn %h, %x for %d method #ode.method<rk4, steps = 2> activation tanh input(%w) recurrent(%r) neurons(%tau, %b)
        : tensor<?x2xf32>, tensor<?x1xf32>, f32
    lnn.yield carrying %next : tensor<?x2xf32>
  }
  return %out : tensor<?x2xf32>
}

// Cells in a row; the third has other steps.
// CHECK-LABEL: @chain
// CHECK: %[[TWO:.*]] = arith.mulf %arg2
// CHECK: %[[H2:.*]] = lnn.ctrnn %arg0, %arg1 for %[[TWO]] method #ode.method<euler, steps = 2>
// CHECK: lnn.ctrnn %[[H2]], %arg1 for %arg2 method #ode.method<euler, steps = 3>
func.func @chain(%h: tensor<?x2xf32>, %x: tensor<?x1xf32>, %dt: f32, %w: tensor<1x2xf32>, %r: tensor<2x2xf32>, %tau: tensor<2xf32>, %b: tensor<2xf32>)
    -> tensor<?x2xf32> {
  %h1 = lnn.ctrnn %h, %x for %dt method #ode.method<euler, steps = 1> activation tanh input(%w) recurrent(%r) neurons(%tau, %b)
      : tensor<?x2xf32>, tensor<?x1xf32>, f32
  %h2 = lnn.ctrnn %h1, %x for %dt method #ode.method<euler, steps = 1> activation tanh input(%w) recurrent(%r) neurons(%tau, %b)
      : tensor<?x2xf32>, tensor<?x1xf32>, f32
  %h3 = lnn.ctrnn %h2, %x for %dt method #ode.method<euler, steps = 3> activation tanh input(%w) recurrent(%r) neurons(%tau, %b)
      : tensor<?x2xf32>, tensor<?x1xf32>, f32
  return %h3 : tensor<?x2xf32>
}

// The state in between is a result.
// CHECK-LABEL: @between
// CHECK-COUNT-2: steps = 1
func.func @between(%h: tensor<?x2xf32>, %x: tensor<?x1xf32>, %dt: f32, %w: tensor<1x2xf32>, %r: tensor<2x2xf32>, %tau: tensor<2xf32>, %b: tensor<2xf32>)
    -> (tensor<?x2xf32>, tensor<?x2xf32>) {
  %h1 = lnn.ctrnn %h, %x for %dt method #ode.method<euler, steps = 1> activation tanh input(%w) recurrent(%r) neurons(%tau, %b)
      : tensor<?x2xf32>, tensor<?x1xf32>, f32
  %h2 = lnn.ctrnn %h1, %x for %dt method #ode.method<euler, steps = 1> activation tanh input(%w) recurrent(%r) neurons(%tau, %b)
      : tensor<?x2xf32>, tensor<?x1xf32>, f32
  return %h1, %h2 : tensor<?x2xf32>, tensor<?x2xf32>
}
