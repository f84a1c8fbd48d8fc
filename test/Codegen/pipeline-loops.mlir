// RUN: lnn-opt --lnn-pipeline-loops --canonicalize %s | FileCheck %s
// RUN: lnn-opt --lnn-pipeline-loops=registers=3 --canonicalize %s | FileCheck %s --check-prefix=FEW

// A sum of terms that each take a division: an iteration begins while the ones before it divide and add.
// CHECK-LABEL: func.func @sum
// CHECK-SAME: (%[[M:[a-z0-9]*]]: memref<64xf32>
// Two iterations have begun before the loop, and the first has come to its division;
// CHECK: memref.load %[[M]][%c0]
// CHECK: memref.load %[[M]][%c1]
// CHECK: %[[D:.*]] = arith.divf
// in the loop one ends, one divides and one begins;
// CHECK: scf.for %[[I:.*]] = %c0 to %c62 step %c1 iter_args(%[[S:.*]] = %{{.*}}, %[[QUOTIENT:.*]] = %[[D]], %[[Y:.*]] = %{{.*}}, %[[Z:.*]] = %{{.*}})
// CHECK: %[[AT:.*]] = arith.addi %[[I]], %c2
// CHECK: memref.load %[[M]][%[[AT]]]
// CHECK-DAG: arith.addf %[[S]], %[[QUOTIENT]]
// CHECK-DAG: arith.divf %[[Y]], %[[Z]]
// CHECK: scf.yield
// and the last two end behind it.
// CHECK: arith.divf
// CHECK-NEXT: arith.addf
// CHECK-NEXT: return
// FEW-LABEL: func.func @sum
// FEW: scf.for {{.*}} iter_args(%{{[a-z0-9]*}} = %{{[a-z0-9_]*}}) -> (f32)
func.func @sum(%m: memref<64xf32>, %l: memref<64xf32>, %a: f32, %b: f32) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant 0.0 : f32
  %sum = scf.for %i = %c0 to %c64 step %c1 iter_args(%s = %zero) -> f32 {
    %x = memref.load %m[%i] : memref<64xf32>
    %z = memref.load %l[%i] : memref<64xf32>
    %y0 = math.fma %x, %a, %b : f32
    %z0 = math.fma %z, %a, %b : f32
    %y1 = math.fma %y0, %y0, %a : f32
    %z1 = math.fma %z0, %z0, %a : f32
    %y2 = math.fma %y1, %y1, %a : f32
    %z2 = math.fma %z1, %z1, %a : f32
    %y3 = math.fma %y2, %y2, %a : f32
    %z3 = math.fma %z2, %z2, %a : f32
    %d = arith.divf %y3, %z3 : f32
    %n = arith.addf %s, %d : f32
    scf.yield %n : f32
  }
  return %sum : f32
}

// Left: a loop that stores,
// CHECK-LABEL: func.func @stores
// CHECK: scf.for {{.*}} iter_args(%{{[a-z0-9]*}} = %{{[a-z0-9_]*}}) -> (f32)
func.func @stores(%m: memref<64xf32>, %a: f32, %b: f32) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %one = arith.constant 1.0 : f32
  %sum = scf.for %i = %c0 to %c64 step %c1 iter_args(%s = %one) -> f32 {
    %x = memref.load %m[%i] : memref<64xf32>
    %z = arith.negf %x : f32
    %y0 = math.fma %x, %a, %b : f32
    %z0 = math.fma %z, %a, %b : f32
    %y1 = math.fma %y0, %y0, %a : f32
    %z1 = math.fma %z0, %z0, %a : f32
    %y2 = math.fma %y1, %y1, %a : f32
    %z2 = math.fma %z1, %z1, %a : f32
    %y3 = math.fma %y2, %y2, %a : f32
    %z3 = math.fma %z2, %z2, %a : f32
    %d = arith.divf %y3, %z3 : f32
    memref.store %d, %m[%c0] : memref<64xf32>
    %n = arith.addf %s, %d : f32
    scf.yield %n : f32
  }
  return %sum : f32
}

// one of which nobody knows how often it runs,
// CHECK-LABEL: func.func @unknown
// CHECK: scf.for {{.*}} iter_args(%{{[a-z0-9]*}} = %{{[a-z0-9_]*}}) -> (f32)
func.func @unknown(%m: memref<?xf32>, %a: f32, %b: f32, %n: index) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = arith.constant 1.0 : f32
  %sum = scf.for %i = %c0 to %n step %c1 iter_args(%s = %one) -> f32 {
    %x = memref.load %m[%i] : memref<?xf32>
    %z = arith.negf %x : f32
    %y0 = math.fma %x, %a, %b : f32
    %z0 = math.fma %z, %a, %b : f32
    %y1 = math.fma %y0, %y0, %a : f32
    %z1 = math.fma %z0, %z0, %a : f32
    %y2 = math.fma %y1, %y1, %a : f32
    %z2 = math.fma %z1, %z1, %a : f32
    %y3 = math.fma %y2, %y2, %a : f32
    %z3 = math.fma %z2, %z2, %a : f32
    %d = arith.divf %y3, %z3 : f32
    %next = arith.addf %s, %d : f32
    scf.yield %next : f32
  }
  return %sum : f32
}

// one that runs too few times,
// CHECK-LABEL: func.func @few
// CHECK: scf.for {{.*}} iter_args(%{{[a-z0-9]*}} = %{{[a-z0-9_]*}}) -> (f32)
func.func @few(%m: memref<3xf32>, %a: f32, %b: f32) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %one = arith.constant 1.0 : f32
  %sum = scf.for %i = %c0 to %c3 step %c1 iter_args(%s = %one) -> f32 {
    %x = memref.load %m[%i] : memref<3xf32>
    %z = arith.negf %x : f32
    %y0 = math.fma %x, %a, %b : f32
    %z0 = math.fma %z, %a, %b : f32
    %y1 = math.fma %y0, %y0, %a : f32
    %z1 = math.fma %z0, %z0, %a : f32
    %y2 = math.fma %y1, %y1, %a : f32
    %z2 = math.fma %z1, %z1, %a : f32
    %y3 = math.fma %y2, %y2, %a : f32
    %z3 = math.fma %z2, %z2, %a : f32
    %d = arith.divf %y3, %z3 : f32
    %next = arith.addf %s, %d : f32
    scf.yield %next : f32
  }
  return %sum : f32
}

// and one whose iterations wait for each other from the start.
// CHECK-LABEL: func.func @recurrence
// CHECK: scf.for {{.*}} iter_args(%{{[a-z0-9]*}} = %{{[a-z0-9_]*}}) -> (f32)
func.func @recurrence(%m: memref<64xf32>, %a: f32, %b: f32) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %one = arith.constant 1.0 : f32
  %sum = scf.for %i = %c0 to %c64 step %c1 iter_args(%s = %one) -> f32 {
    %x = memref.load %m[%i] : memref<64xf32>
    %z = arith.negf %x : f32
    %y0 = math.fma %s, %a, %x : f32
    %z0 = math.fma %z, %a, %b : f32
    %y1 = math.fma %y0, %y0, %a : f32
    %z1 = math.fma %z0, %z0, %a : f32
    %y2 = math.fma %y1, %y1, %a : f32
    %z2 = math.fma %z1, %z1, %a : f32
    %y3 = math.fma %y2, %y2, %a : f32
    %z3 = math.fma %z2, %z2, %a : f32
    %d = arith.divf %y3, %z3 : f32
    scf.yield %d : f32
  }
  return %sum : f32
}
