// RUN: lnn-opt --lnn-attach-cpu=cpu=x86-64-v3 %s | FileCheck %s
// RUN: lnn-opt "--lnn-attach-cpu=cpu=x86-64-v3 features=-fma" %s | FileCheck %s --check-prefix=FEATURES
// RUN: lnn-opt --lnn-attach-cpu %s | FileCheck %s --check-prefix=NATIVE
// RUN: not lnn-opt --lnn-attach-cpu=cpu=toaster %s 2>&1 | FileCheck %s --check-prefix=CPU
// RUN: not lnn-opt --lnn-attach-cpu=features=avx2 %s 2>&1 | FileCheck %s --check-prefix=SIGN
// RUN: not lnn-opt --lnn-attach-cpu=features=+toast %s 2>&1 | FileCheck %s --check-prefix=FEATURE
// REQUIRES: x86_64

// CHECK: module attributes {lnn.cpu = "x86-64-v3", lnn.features = "", lnn.triple = "x86_64
// FEATURES: lnn.features = "-fma"
// NATIVE: module attributes {lnn.cpu = "{{.+}}", lnn.features = "{{.*}}+sse2
// CPU: error: no processor 'toaster' on x86_64; llc -mcpu=help lists them
// SIGN: error: feature 'avx2' must begin with + or -
// FEATURE: error: no feature 'toast' on this architecture; llc -mattr=help lists them
module {}
