// The runnable examples of the ops' documentation, round trip.
// RUN: lnn-opt %s | lnn-opt | FileCheck %s

// CHECK: lnn.ltc %{{.*}}, %{{.*}} for %{{.*}} unfolds 6 recurrent({{.*}} wired #wiring) sensory({{.*}}) neurons({{.*}}) : tensor<?x2xf32>, tensor<?x1xf32>, f32
func.func @step_ltc(%h: tensor<?x2xf32>, %x: tensor<?x1xf32>, %dt: f32, %w: tensor<2x2xf32>, %s: tensor<2x2xf32>, %m: tensor<2x2xf32>,
                %e: tensor<2x2xf32>, %w1: tensor<1x2xf32>, %s1: tensor<1x2xf32>, %m1: tensor<1x2xf32>, %e1: tensor<1x2xf32>,
                %cm: tensor<2xf32>, %gleak: tensor<2xf32>, %vleak: tensor<2xf32>) -> tensor<?x2xf32> {
  %next = lnn.ltc %h, %x for %dt unfolds 6
      recurrent(%w, %s, %m, %e wired <2 x 2, {0: [1]}>) sensory(%w1, %s1, %m1, %e1) neurons(%cm, %gleak, %vleak)
      : tensor<?x2xf32>, tensor<?x1xf32>, f32
  return %next : tensor<?x2xf32>
}

// CHECK: lnn.cfc %{{.*}} for %{{.*}} mode default ff1({{.*}}) ff2({{.*}}) time_a({{.*}}) time_b({{.*}}) : tensor<?x8xf32>, tensor<?x1xf32> -> tensor<?x4xf32>
func.func @head_cfc(%f: tensor<?x8xf32>, %ts: tensor<?x1xf32>, %w1: tensor<8x4xf32>, %b1: tensor<4xf32>, %w2: tensor<8x4xf32>,
                %b2: tensor<4xf32>, %wa: tensor<8x4xf32>, %ba: tensor<4xf32>, %wb: tensor<8x4xf32>, %bb: tensor<4xf32>) -> tensor<?x4xf32> {
  %next = lnn.cfc %f for %ts mode default ff1(%w1, %b1) ff2(%w2, %b2) time_a(%wa, %ba) time_b(%wb, %bb)
      : tensor<?x8xf32>, tensor<?x1xf32> -> tensor<?x4xf32>
  return %next : tensor<?x4xf32>
}

// CHECK: lnn.feedback %{{.*}}, %{{.*}} through %{{.*}} : tensor<?x3xf32>, tensor<?x4xf32>
func.func @closed_feedback(%x: tensor<?x3xf32>, %h: tensor<?x4xf32>, %f: tensor<4x3xf32>) -> tensor<?x3xf32> {
  %u = lnn.feedback %x, %h through %f : tensor<?x3xf32>, tensor<?x4xf32>
  return %u : tensor<?x3xf32>
}

// CHECK: lnn.trajectory %{{.*}}, %{{.*}} for %{{.*}} tau(%{{.*}}) : tensor<?x3x4xf32>, tensor<?x4xf32>, f32
func.func @remember_trajectory(%m: tensor<?x3x4xf32>, %h: tensor<?x4xf32>, %dt: f32, %tau: tensor<3xf32>) -> tensor<?x3x4xf32> {
  %next = lnn.trajectory %m, %h for %dt tau(%tau) : tensor<?x3x4xf32>, tensor<?x4xf32>, f32
  return %next : tensor<?x3x4xf32>
}

// CHECK: lnn.state_gate %{{.*}} over %{{.*}} query(%{{.*}}) key(%{{.*}}) value(%{{.*}}) gate(%{{.*}}, %{{.*}})
func.func @aware_state_gate(%h: tensor<?x4xf32>, %m: tensor<?x3x4xf32>, %wq: tensor<4x2xf32>, %wk: tensor<4x2xf32>, %wv: tensor<4x4xf32>,
                 %w: tensor<8x4xf32>, %b: tensor<4xf32>) -> tensor<?x4xf32> {
  %next = lnn.state_gate %h over %m query(%wq) key(%wk) value(%wv) gate(%w, %b)
      : tensor<?x4xf32>, tensor<?x3x4xf32>, tensor<4x2xf32>
  return %next : tensor<?x4xf32>
}

// CHECK: lnn.linear_recurrence decay %{{.*}} drive %{{.*}} from %{{.*}} dim 1
// CHECK: lnn.linear_recurrence decay %{{.*}} keys %{{.*}} values %{{.*}} read %{{.*}} from %{{.*}} dim 1
func.func @diagonal_linear_recurrence(%a: tensor<?x?x4xf32>, %b: tensor<?x?x4xf32>, %h0: tensor<?x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x4xf32>) {
  %h, %hn = lnn.linear_recurrence decay %a drive %b from %h0 dim 1
      : (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x4xf32>)
  return %h, %hn : tensor<?x?x4xf32>, tensor<?x4xf32>
}
func.func @matrix_linear_recurrence(%a: tensor<?x?x1xf32>, %k: tensor<?x?x8xf32>, %v: tensor<?x?x4xf32>, %q: tensor<?x?x8xf32>, %s0: tensor<?x8x4xf32>)
    -> (tensor<?x?x4xf32>, tensor<?x8x4xf32>) {
  %y, %sn = lnn.linear_recurrence decay %a keys %k values %v read %q from %s0 dim 1
      : (tensor<?x?x1xf32>, tensor<?x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x8xf32>, tensor<?x8x4xf32>)
      -> (tensor<?x?x4xf32>, tensor<?x8x4xf32>)
  return %y, %sn : tensor<?x?x4xf32>, tensor<?x8x4xf32>
}

// CHECK: lnn.linear_recurrence decay %{{.*}} drive %{{.*}} read %{{.*}}, %{{.*}} before [true, false] from %{{.*}} dim 1 reverse
func.func @reads_linear_recurrence(%a: tensor<?x?x8x1xf32>, %b: tensor<?x?x8x4xf32>, %q: tensor<?x?x8xf32>, %r: tensor<?x?x8x4xf32>,
    %s0: tensor<?x8x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x8x4xf32>) {
  %y, %z, %sn = lnn.linear_recurrence decay %a drive %b read %q, %r before [true, false] from %s0 dim 1 reverse
      : (tensor<?x?x8x1xf32>, tensor<?x?x8x4xf32>, tensor<?x?x8xf32>, tensor<?x?x8x4xf32>, tensor<?x8x4xf32>)
      -> (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x8x4xf32>)
  return %y, %z, %sn : tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x8x4xf32>
}

// CHECK: lnn.linear_recurrence decay %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} drive %{{.*}}, %{{.*}} read %{{.*}}, %{{.*}}, %{{.*}} of [1, 0, 0] before [false, true, false] from %{{.*}}, %{{.*}} dim 1
func.func @linear_recurrence_of_parts(%a: tensor<?x?x8x1xf32>, %b: tensor<?x?x8x4xf32>, %q: tensor<?x?x8xf32>, %s0: tensor<?x8x4xf32>)
    -> (tensor<?x?x4xf32>, tensor<?x8x4xf32>) {
  %r:5 = lnn.linear_recurrence decay %a, %a, %a, %a drive %b, %b read %q, %q, %q of [1, 0, 0] before [false, true, false] from %s0, %s0 dim 1
      : (tensor<?x?x8x1xf32>, tensor<?x?x8x1xf32>, tensor<?x?x8x1xf32>, tensor<?x?x8x1xf32>, tensor<?x?x8x4xf32>, tensor<?x?x8x4xf32>,
         tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x8x4xf32>, tensor<?x8x4xf32>)
      -> (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x8x4xf32>, tensor<?x8x4xf32>)
  return %r#0, %r#4 : tensor<?x?x4xf32>, tensor<?x8x4xf32>
}

// CHECK: lnn.causal_conv %{{.*}}, %{{.*}} taps(%{{.*}}) dilation 3 : tensor<?x?x4xf32>, tensor<?x6x4xf32>
func.func @dilated_causal_conv(%x: tensor<?x?x4xf32>, %s: tensor<?x6x4xf32>, %w: tensor<3x4xf32>) -> tensor<?x?x4xf32> {
  %y, %next = lnn.causal_conv %x, %s taps(%w) dilation 3 : tensor<?x?x4xf32>, tensor<?x6x4xf32>
  return %y : tensor<?x?x4xf32>
}

// CHECK: lnn.causal_conv %{{.*}}, %{{.*}} taps(%{{.*}}, %{{.*}}) : tensor<?x?x4xf32>, tensor<?x2x4xf32>
func.func @conv_causal_conv(%x: tensor<?x?x4xf32>, %s: tensor<?x2x4xf32>, %w: tensor<3x4xf32>, %b: tensor<4xf32>)
    -> (tensor<?x?x4xf32>, tensor<?x2x4xf32>) {
  %y, %next = lnn.causal_conv %x, %s taps(%w, %b) : tensor<?x?x4xf32>, tensor<?x2x4xf32>
  return %y, %next : tensor<?x?x4xf32>, tensor<?x2x4xf32>
}

// CHECK: lnn.pair_dot %{{.*}}, %{{.*}}, %{{.*}} : i32, f32
// CHECK: lnn.pair_dot %{{.*}}, %{{.*}}, %{{.*}} : vector<8xi32>, vector<8xf32>
func.func @pairs(%x: i32, %w: i32, %sum: f32, %xs: vector<8xi32>, %ws: vector<8xi32>, %sums: vector<8xf32>) -> (f32, vector<8xf32>) {
  %next = lnn.pair_dot %x, %w, %sum : i32, f32
  %nexts = lnn.pair_dot %xs, %ws, %sums : vector<8xi32>, vector<8xf32>
  return %next, %nexts : f32, vector<8xf32>
}

// CHECK: lnn.quad_dot %{{.*}}, %{{.*}}, %{{.*}} : i32
func.func @quads(%x: i32, %w: i32, %sum: i32) -> i32 {
  %next = lnn.quad_dot %x, %w, %sum : i32
  return %next : i32
}
