// RUN: lnn-opt %s --convert-lnn-to-ode --split-input-file | FileCheck %s

// Sums start from the leak; sensory synapses are in front of the solve, recurrent ones in it: numerator and denominator at once.
// CHECK-LABEL: @ltc
// CHECK: %[[LEAK:.*]]:2 = linalg.generic {{.*}}iterator_types = ["parallel", "parallel"]
// CHECK: arith.mulf
// CHECK: arith.addf
// CHECK: %[[SENS:.*]]:2 = linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction"]{{.*}} outs(%[[LEAK]]#0, %[[LEAK]]#1
// CHECK: ode.solve %arg0 for %arg2 method <semi_implicit, steps = 6>
// CHECK: ^bb0(%{{.*}}: f32, %[[S:.*]]: tensor<?x2xf32>):
// CHECK: %[[REC:.*]]:2 = linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[S]],{{.*}} outs(%[[SENS]]#0, %[[SENS]]#1
// CHECK: lnn.sigmoid
// CHECK: ode.yield_semilinear decay %[[REC]]#1 : tensor<?x2xf32> drive %[[REC]]#0 : tensor<?x2xf32> mass %{{.*}} : tensor<2xf32>
func.func @ltc(%h: tensor<?x2xf32>, %x: tensor<?x1xf32>, %dt: f32, %w: tensor<2x2xf32>, %s: tensor<2x2xf32>, %m: tensor<2x2xf32>,
               %e: tensor<2x2xf32>, %w1: tensor<1x2xf32>, %s1: tensor<1x2xf32>, %m1: tensor<1x2xf32>, %e1: tensor<1x2xf32>,
               %cm: tensor<2xf32>, %gleak: tensor<2xf32>, %vleak: tensor<2xf32>) -> tensor<?x2xf32> {
  %next = lnn.ltc %h, %x for %dt unfolds 6 recurrent(%w, %s, %m, %e) sensory(%w1, %s1, %m1, %e1) neurons(%cm, %gleak, %vleak)
      : tensor<?x2xf32>, tensor<?x1xf32>, f32
  return %next : tensor<?x2xf32>
}

// -----

// Without recurrent synapses the decay is known before the solve.
// CHECK-LABEL: @unwired
// CHECK: ode.solve
// CHECK-NEXT: ^bb0
// CHECK-NEXT: ode.yield_semilinear
func.func @unwired(%h: tensor<?x2xf32>, %x: tensor<?x1xf32>, %dt: f32, %w: tensor<2x2xf32>, %w1: tensor<1x2xf32>,
                   %n: tensor<2xf32>) -> tensor<?x2xf32> {
  %next = lnn.ltc %h, %x for %dt unfolds 1 recurrent(%w, %w, %w, %w wired <2 x 2, {}>) sensory(%w1, %w1, %w1, %w1) neurons(%n, %n, %n)
      : tensor<?x2xf32>, tensor<?x1xf32>, f32
  return %next : tensor<?x2xf32>
}

// -----

// Weights of absent synapses are zero.
// CHECK-LABEL: @masked
// CHECK: arith.constant dense<{{\[}}[1.000000e+00, 0.000000e+00], [0.000000e+00, 4.000000e+00]]>
// CHECK: linalg.generic
func.func @masked(%x: tensor<?x2xf32>, %h: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %f = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %u = lnn.feedback %x, %h through %f wired <2 x 2, {0: [0], 1: [1]}> : tensor<?x2xf32>, tensor<?x2xf32>
  return %u : tensor<?x2xf32>
}

// -----

// CHECK-LABEL: @ctrnn
// CHECK: ode.solve %arg0 for %arg2 method <rk4, steps = 2>
// CHECK: math.tanh
// CHECK: ode.yield_semilinear decay %{{.*}} : f32 drive %{{.*}} : tensor<?x4xf32> mass %arg5 : tensor<4xf32>
func.func @ctrnn(%h: tensor<?x4xf32>, %u: tensor<?x3xf32>, %dt: f32, %w: tensor<3x4xf32>, %r: tensor<4x4xf32>, %tau: tensor<4xf32>,
                 %b: tensor<4xf32>) -> tensor<?x4xf32> {
  %next = lnn.ctrnn %h, %u for %dt method #ode.method<rk4, steps = 2> activation tanh input(%w) recurrent(%r) neurons(%tau, %b)
      : tensor<?x4xf32>, tensor<?x3xf32>, f32
  return %next : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: @recurrence
// CHECK: lnn.check
// CHECK: lnn.scan %{{.*}} of %{{.*}} over (%{{.*}} = %arg0 dim 1, %{{.*}} = %arg1 dim 1) carrying (%{{.*}} = %arg2) stacking (dim 1)
func.func @recurrence(%a: tensor<?x?x4xf32>, %b: tensor<?x?x4xf32>, %h0: tensor<?x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x4xf32>) {
  %h, %hn = lnn.linear_recurrence decay %a drive %b from %h0 dim 1
      : (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x4xf32>)
  return %h, %hn : tensor<?x?x4xf32>, tensor<?x4xf32>
}

// -----

// Parts are states of one scan. Zeros are no terms, and not read; a decay of two
// parts is read once.
// CHECK-LABEL: @parts
// CHECK: lnn.scan %{{.*}} over (%[[A:.*]] = %arg0 dim 0, %[[N:.*]] = %arg1 dim 0, %[[W:.*]] = %arg2 dim 0, %[[B:.*]] = %arg3 dim 0) carrying (%[[G:.*]] = %arg4, %[[H:.*]] = %arg5) stacking (dim 0, dim 0)
// CHECK: %[[U:.*]] = linalg.generic {{.*}} ins(%[[A]], %[[G]], %[[N]], %[[H]], %[[B]] :
// CHECK: %[[V:.*]] = linalg.generic {{.*}} ins(%[[W]], %[[G]], %[[A]], %[[H]] :
// CHECK: lnn.yield %[[U]], %[[V]] : tensor<4xf32>, tensor<4xf32> carrying %[[U]], %[[V]]
func.func @parts(%a: tensor<9x4xf32>, %n: tensor<9x4xf32>, %w: tensor<9x4xf32>, %b: tensor<9x4xf32>, %g: tensor<4xf32>, %h: tensor<4xf32>)
    -> (tensor<9x4xf32>, tensor<9x4xf32>) {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<9x4xf32>
  %none = linalg.fill ins(%zero : f32) outs(%empty : tensor<9x4xf32>) -> tensor<9x4xf32>
  %r:4 = lnn.linear_recurrence decay %a, %n, %w, %a drive %b, %none from %g, %h dim 0
      : (tensor<9x4xf32>, tensor<9x4xf32>, tensor<9x4xf32>, tensor<9x4xf32>, tensor<9x4xf32>, tensor<9x4xf32>, tensor<4xf32>, tensor<4xf32>)
      -> (tensor<9x4xf32>, tensor<9x4xf32>, tensor<4xf32>, tensor<4xf32>)
  return %r#0, %r#1 : tensor<9x4xf32>, tensor<9x4xf32>
}

// -----

// Storage types are computed in f32.
// CHECK-LABEL: @half
// CHECK: arith.extf
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?x3xf32>)
// CHECK: arith.truncf
func.func @half(%x: tensor<?x3xf16>, %h: tensor<?x4xf16>, %f: tensor<4x3xf16>) -> tensor<?x3xf16> {
  %u = lnn.feedback %x, %h through %f : tensor<?x3xf16>, tensor<?x4xf16>
  return %u : tensor<?x3xf16>
}

// -----

// For a time that is known the gate is one layer: 0.5 [[2, 4], [6, 8]] + [[1, 1], [1, 1]].
// CHECK-LABEL: @known_time
// CHECK-COUNT-2: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: arith.constant dense<{{\[}}[2.000000e+00, 3.000000e+00], [4.000000e+00, 5.000000e+00]]> : tensor<2x2xf32>
// CHECK: arith.constant dense<[2.500000e+00, 2.000000e+00]> : tensor<2xf32>
// CHECK: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK-NOT: reduction
// CHECK: return
func.func @known_time(%f: tensor<?x2xf32>, %w: tensor<2x2xf32>, %b: tensor<2xf32>) -> tensor<?x2xf32> {
  %dt = arith.constant 0.5 : f32
  %wa = arith.constant dense<[[2.0, 4.0], [6.0, 8.0]]> : tensor<2x2xf32>
  %wb = arith.constant dense<1.0> : tensor<2x2xf32>
  %ba = arith.constant dense<[3.0, 2.0]> : tensor<2xf32>
  %bb = arith.constant dense<1.0> : tensor<2xf32>
  %next = lnn.cfc %f for %dt mode default ff1(%w, %b) ff2(%w, %b) time_a(%wa, %ba) time_b(%wb, %bb) : tensor<?x2xf32>, f32 -> tensor<?x2xf32>
  return %next : tensor<?x2xf32>
}
