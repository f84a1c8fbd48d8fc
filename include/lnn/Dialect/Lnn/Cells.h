//===- Cells.h - cells and recurrences of the lnn dialect -------*- C++ -*-===//
#ifndef LNN_DIALECT_LNN_CELLS_H
#define LNN_DIALECT_LNN_CELLS_H

#include "lnn/Dialect/Lnn/Wiring.h"

#include "lnn/Dialect/Lnn/LnnEnums.h.inc"
#define GET_OP_CLASSES
#include "lnn/Dialect/Lnn/LnnCells.h.inc"

#endif // LNN_DIALECT_LNN_CELLS_H
