// RUN: lnn-opt %s --pass-pipeline='builtin.module(func.func(lnn-fold-feedback),canonicalize,cse)' | FileCheck %s

// R + F W: [[1, 0], [0, 1]] + [[1], [2]] [[10, 20]].
// CHECK-LABEL: @folds
// CHECK: dense<{{\[\[}}1.100000e+01, 2.000000e+01], [2.000000e+01, 4.100000e+01]]>
// CHECK-NOT: lnn.feedback
// CHECK: lnn.ctrnn %arg0, %arg1 for
func.func @folds(%h: tensor<?x2xf32>, %x: tensor<?x1xf32>, %dt: f32, %tau: tensor<2xf32>, %b: tensor<2xf32>) -> tensor<?x2xf32> {
  %f = arith.constant dense<[[1.0], [2.0]]> : tensor<2x1xf32>
  %w = arith.constant dense<[[10.0, 20.0]]> : tensor<1x2xf32>
  %r = arith.constant dense<[[1.0, 7.0], [7.0, 1.0]]> : tensor<2x2xf32>
  %u = lnn.feedback %x, %h through %f : tensor<?x1xf32>, tensor<?x2xf32>
  %next = lnn.ctrnn %h, %u for %dt method #ode.method<euler, steps = 1> activation tanh input(%w)
      recurrent(%r wired <2 x 2, {0: [0], 1: [1]}>) neurons(%tau, %b) : tensor<?x2xf32>, tensor<?x1xf32>, f32
  return %next : tensor<?x2xf32>
}

// The feedback sees the state in front of the first of two steps only.
// CHECK-LABEL: @two_steps
// CHECK: lnn.feedback
func.func @two_steps(%h: tensor<?x2xf32>, %x: tensor<?x1xf32>, %dt: f32, %tau: tensor<2xf32>, %b: tensor<2xf32>) -> tensor<?x2xf32> {
  %f = arith.constant dense<[[1.0], [2.0]]> : tensor<2x1xf32>
  %w = arith.constant dense<[[10.0, 20.0]]> : tensor<1x2xf32>
  %r = arith.constant dense<[[1.0, 7.0], [7.0, 1.0]]> : tensor<2x2xf32>
  %u = lnn.feedback %x, %h through %f : tensor<?x1xf32>, tensor<?x2xf32>
  %next = lnn.ctrnn %h, %u for %dt method #ode.method<euler, steps = 2> activation tanh input(%w) recurrent(%r) neurons(%tau, %b)
      : tensor<?x2xf32>, tensor<?x1xf32>, f32
  return %next : tensor<?x2xf32>
}

// The feedback of another state.
// CHECK-LABEL: @other_state
// CHECK: lnn.feedback
func.func @other_state(%h: tensor<?x2xf32>, %g: tensor<?x2xf32>, %x: tensor<?x1xf32>, %dt: f32, %tau: tensor<2xf32>, %b: tensor<2xf32>)
    -> tensor<?x2xf32> {
  %f = arith.constant dense<[[1.0], [2.0]]> : tensor<2x1xf32>
  %w = arith.constant dense<[[10.0, 20.0]]> : tensor<1x2xf32>
  %r = arith.constant dense<[[1.0, 7.0], [7.0, 1.0]]> : tensor<2x2xf32>
  %u = lnn.feedback %x, %g through %f : tensor<?x1xf32>, tensor<?x2xf32>
  %next = lnn.ctrnn %h, %u for %dt method #ode.method<euler, steps = 1> activation tanh input(%w) recurrent(%r) neurons(%tau, %b)
      : tensor<?x2xf32>, tensor<?x1xf32>, f32
  return %next : tensor<?x2xf32>
}
