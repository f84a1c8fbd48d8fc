// RUN: lnn-opt --lnn-expand-math %s | FileCheck %s --check-prefix=ANY
// RUN: lnn-opt --lnn-expand-math=avx512=true %s | FileCheck %s

// The remainder and 2^n in one instruction each, of the vectors' width; elsewhere clamps and integer shifts.
// CHECK-LABEL: func.func @gate16
// CHECK: %[[R:.*]] = llvm.call_intrinsic "llvm.x86.avx512.mask.reduce.ps.512"(%arg0,
// CHECK: %[[N:.*]] = arith.subf %arg0, %[[R]]
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.mask.scalef.ps.512"(%{{.*}}, %[[N]],
// CHECK: arith.divf
// ANY-LABEL: func.func @gate16
// ANY-NOT: llvm.call_intrinsic
// ANY: arith.shli
// ANY: arith.divf
func.func @gate16(%x: vector<16xf32>) -> vector<16xf32> {
  %y = lnn.gate %x : vector<16xf32>
  return %y : vector<16xf32>
}

// CHECK-LABEL: func.func @gate8
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.mask.reduce.ps.256"
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.mask.scalef.ps.256"
func.func @gate8(%x: vector<8xf32>) -> vector<8xf32> {
  %y = lnn.gate %x : vector<8xf32>
  return %y : vector<8xf32>
}

// Where nothing overflows 2^n scales the polynomial, and the 1 is added.
// CHECK-LABEL: func.func @denominator
// CHECK: %[[R:.*]] = llvm.call_intrinsic "llvm.x86.avx512.mask.reduce.ps.512"(%[[X:[0-9a-z]*]],
// CHECK: %[[N:.*]] = arith.subf %[[X]], %[[R]]
// CHECK: %[[E:.*]] = llvm.call_intrinsic "llvm.x86.avx512.mask.scalef.ps.512"(%[[P:[0-9]*]], %[[N]],
// CHECK: arith.addf %[[E]],
func.func @denominator(%x: vector<16xf32>) -> vector<16xf32> {
  %y = lnn.gate_denominator %x : vector<16xf32>
  return %y : vector<16xf32>
}

// Scalars and doubles have the other form everywhere.
// CHECK-LABEL: func.func @scalar
// CHECK-NOT: llvm.call_intrinsic
// CHECK: return
func.func @scalar(%x: f32, %z: vector<8xf64>) -> (f32, vector<8xf64>) {
  %y = lnn.gate %x : f32
  %w = lnn.gate %z : vector<8xf64>
  return %y, %w : f32, vector<8xf64>
}
