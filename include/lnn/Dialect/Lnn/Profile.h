//===- Profile.h - measuring operations of the lnn dialect ------*- C++ -*-===//
#ifndef LNN_DIALECT_LNN_PROFILE_H
#define LNN_DIALECT_LNN_PROFILE_H

#include "lnn/Dialect/Lnn/Lnn.h"

#define GET_OP_CLASSES
#include "lnn/Dialect/Lnn/LnnProfile.h.inc"

#endif // LNN_DIALECT_LNN_PROFILE_H
