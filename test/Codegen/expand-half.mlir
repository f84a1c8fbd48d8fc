// RUN: lnn-opt %s --lnn-expand-half | FileCheck %s --check-prefixes=CHECK,KEEP
// RUN: lnn-opt %s --lnn-expand-half=f16=true | FileCheck %s --check-prefixes=CHECK,F16

// CHECK-LABEL: func @from_bf16
// CHECK: %[[BITS:.*]] = arith.bitcast %{{.*}} : bf16 to i16
// CHECK: %[[WIDE:.*]] = arith.extui %[[BITS]] : i16 to i32
// CHECK: %[[C16:.*]] = arith.constant 16 : i32
// CHECK: %[[UP:.*]] = arith.shli %[[WIDE]], %[[C16]]
// CHECK: %[[Y:.*]] = arith.bitcast %[[UP]] : i32 to f32
// CHECK: return %[[Y]]
func.func @from_bf16(%x: bf16) -> f32 {
  %y = arith.extf %x : bf16 to f32
  return %y : f32
}

// Round to nearest, ties to even: 0x7fff and the last bit kept are added.
// CHECK-LABEL: func @to_bf16
// CHECK-NOT: truncf
// CHECK: arith.constant dense<32767> : vector<8xi32>
// CHECK: arith.trunci %{{.*}} : vector<8xi32> to vector<8xi16>
// CHECK: arith.bitcast %{{.*}} : vector<8xi16> to vector<8xbf16>
func.func @to_bf16(%x: vector<8xf32>) -> vector<8xbf16> {
  %y = arith.truncf %x : vector<8xf32> to vector<8xbf16>
  return %y : vector<8xbf16>
}

// CHECK-LABEL: func @f16
// KEEP: arith.extf %{{.*}} : f16 to f32
// KEEP: arith.truncf %{{.*}} : f32 to f16
// F16-NOT: extf
// F16-NOT: truncf
// CHECK: return
func.func @f16(%x: f16) -> (f32, f16) {
  %y = arith.extf %x : f16 to f32
  %z = arith.truncf %y : f32 to f16
  return %y, %z : f32, f16
}

// From f64, what the first rounding cuts off is kept in the last bit.
// CHECK-LABEL: func @twice
// CHECK: %[[NEAR:.*]] = arith.truncf %[[X:.*]] : f64 to f32
// CHECK: %[[BACK:.*]] = arith.extf %[[NEAR]] : f32 to f64
// CHECK: arith.cmpf one, %[[BACK]], %[[X]]
// KEEP: arith.truncf %{{.*}} : f32 to f16
// F16: arith.bitcast %{{.*}} : i16 to f16
func.func @twice(%x: f64) -> f16 {
  %y = arith.truncf %x : f64 to f16
  return %y : f16
}
