// RUN: lnn-opt --lnn-expand-math %s | FileCheck %s

// A sequence of fused multiply-adds on whole vectors, no function left.
// CHECK-LABEL: func.func @sigmoid
// CHECK-COUNT-8: math.fma {{.*}} : vector<8xf32>
// CHECK-NOT: lnn.sigmoid
// CHECK: arith.divf
// CHECK: return
func.func @sigmoid(%x: vector<8xf32>) -> vector<8xf32> {
  %y = lnn.sigmoid %x : vector<8xf32>
  return %y : vector<8xf32>
}

// Halves are computed in f32.
// CHECK-LABEL: func.func @half
// CHECK: arith.extf %{{.*}} : f16 to f32
// CHECK-NOT: math.exp
// CHECK: arith.truncf %{{.*}} : f32 to f16
func.func @half(%x: f16) -> f16 {
  %y = math.exp %x : f16
  return %y : f16
}

// Those without an f32 version are computed in f64 and rounded once.
// CHECK-LABEL: func.func @in_double
// CHECK: arith.extf %{{.*}} : f32 to f64
// CHECK-NOT: math.sin
// CHECK: arith.truncf %{{.*}} : f64 to f32
func.func @in_double(%x: f32) -> f32 {
  %y = math.sin %x : f32
  return %y : f32
}

// CHECK-LABEL: func.func @choose_halves
// CHECK: arith.select %{{.*}}, %{{.*}}, %{{.*}} : i16
func.func @choose_halves(%c: i1, %x: bf16, %z: bf16) -> bf16 {
  %y = arith.select %c, %x, %z : bf16
  return %y : bf16
}

// Instructions stay; so do types that have no expansion, integers, and tensors.
// CHECK-LABEL: func.func @stays
// CHECK: math.sqrt %{{.*}} : f32
// CHECK: math.floor %{{.*}} : f32
// CHECK: math.absf
// CHECK: math.exp %{{.*}} : f128
// CHECK: arith.select %{{.*}} : f32
// CHECK: arith.extf %{{.*}} : tensor<2xbf16> to tensor<2xf32>
func.func @stays(%x: f32, %w: f128, %c: i1, %t: tensor<2xbf16>) -> (f32, f128, tensor<2xf32>) {
  %a = math.sqrt %x : f32
  %b = math.floor %a : f32
  %d = math.absf %b : f32
  %e = math.exp %w : f128
  %f = arith.select %c, %d, %x : f32
  %g = arith.extf %t : tensor<2xbf16> to tensor<2xf32>
  return %f, %e, %g : f32, f128, tensor<2xf32>
}
