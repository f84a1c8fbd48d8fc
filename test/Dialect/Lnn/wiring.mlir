// RUN: lnn-opt %s | lnn-opt | FileCheck %s

// CHECK-DAG: #[[A:.*]] = #lnn.wiring<32 x 19, {0: [1, 4], 3: [7 to 12]}>
// CHECK-DAG: #[[B:.*]] = #lnn.wiring<64 x 64, dense>
// CHECK-DAG: #[[C:.*]] = #lnn.wiring<4 x 4, {}>
// CHECK-DAG: #[[D:.*]] = #lnn.wiring<3 x 2, {0: [0, 1], 2: [1]}>
// CHECK: attributes {a = #[[A]], b = #[[B]], c = #[[C]], d = #[[D]]}
func.func private @wirings() attributes {
  a = #lnn.wiring<32 x 19, {0: [1, 4], 3: [7 to 12]}>, b = #lnn.wiring<64x64, dense>, c = #lnn.wiring<4 x 4, {1: []}>,
  d = #lnn.wiring<3 x 2, {0: [0 to 1], 2: [1]}>}
