# Finds MLIR and LLVM (the one pinned version) and defines the helpers that the compiler's libraries use.
set(LNN_LLVM_VERSION 22) # the pinned version: the only place that names it for CMake
find_package(MLIR REQUIRED CONFIG HINTS $ENV{MLIR_DIR} /usr/lib/llvm-${LNN_LLVM_VERSION}/lib/cmake/mlir)
if(NOT LLVM_VERSION_MAJOR EQUAL LNN_LLVM_VERSION)
  message(FATAL_ERROR "MLIR ${LNN_LLVM_VERSION} is needed; ${MLIR_DIR} is version ${LLVM_VERSION_MAJOR}")
endif()
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include_directories(SYSTEM ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
separate_arguments(LNN_LLVM_DEFINITIONS NATIVE_COMMAND ${LLVM_DEFINITIONS})
add_definitions(${LNN_LLVM_DEFINITIONS})
set(LNN_LLVM_TOOLS_DIR ${LLVM_TOOLS_BINARY_DIR})
find_program(LNN_MLIR_TBLGEN mlir-tblgen HINTS ${LLVM_TOOLS_BINARY_DIR} REQUIRED)

# lnn_tablegen(TARGET td OUTPUT file -gen-flag [OUTPUT file -gen-flag ...]): runs mlir-tblgen; outputs are relative to
# build/include, td to the source root. TARGET is what users of the outputs depend on.
function(lnn_tablegen target td)
  set(outputs)
  set(args ${ARGN})
  file(GLOB_RECURSE all_td CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/dialects/*.td ${PROJECT_SOURCE_DIR}/include/*.td)
  while(args)
    list(POP_FRONT args output flags)
    set(out ${PROJECT_BINARY_DIR}/include/${output})
    separate_arguments(flag_list UNIX_COMMAND "${flags}")
    get_filename_component(dir ${out} DIRECTORY)
    file(MAKE_DIRECTORY ${dir})
    add_custom_command(OUTPUT ${out}
      COMMAND ${LNN_MLIR_TBLGEN} --write-if-changed ${flag_list} ${PROJECT_SOURCE_DIR}/${td} -I ${PROJECT_SOURCE_DIR}
              -I ${PROJECT_SOURCE_DIR}/dialects -I ${PROJECT_SOURCE_DIR}/include -I ${MLIR_INCLUDE_DIRS} -o ${out}
      DEPENDS ${all_td} COMMENT "TableGen ${output}")
    list(APPEND outputs ${out})
  endwhile()
  add_custom_target(${target} DEPENDS ${outputs})
  set_property(GLOBAL APPEND PROPERTY LNN_TABLEGEN_TARGETS ${target})
endfunction()

# MLIR's headers are most of what a file of the compiler costs to compile: three quarters of it with Clang. They are
# compiled once, by LnnHeaders; a file that includes too little still fails with -DLNN_PRECOMPILE_HEADERS=OFF.
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  set(precompile_default ON)
else()
  set(precompile_default OFF) # GCC gains less, and ccache then needs more of it
endif()
option(LNN_PRECOMPILE_HEADERS "Compile MLIR's headers once" ${precompile_default})
# See the header: GCC names traits otherwise than Clang, which the packaged libraries are built with.
set(LNN_TRAIT_IDS "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:SHELL:-include ${PROJECT_SOURCE_DIR}/include/lnn/Support/TraitIds.h>")
set(LNN_COMPILER_FLAGS -fno-exceptions -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers ${LNN_TRAIT_IDS})
if(LNN_PRECOMPILE_HEADERS)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/LnnHeaders.cpp CONTENT "// Nothing but the precompiled headers.\n")
  add_library(LnnHeaders OBJECT ${PROJECT_BINARY_DIR}/LnnHeaders.cpp)
  target_compile_options(LnnHeaders PRIVATE ${LNN_COMPILER_FLAGS})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    set(CMAKE_PCH_INSTANTIATE_TEMPLATES ON)
    target_compile_options(LnnHeaders PUBLIC "SHELL:-Xclang -fno-pch-timestamp") # for ccache
  endif()
  target_precompile_headers(LnnHeaders PRIVATE
    <mlir/Dialect/Arith/IR/Arith.h> <mlir/Dialect/Bufferization/IR/Bufferization.h> <mlir/Dialect/Func/IR/FuncOps.h>
    <mlir/Dialect/Linalg/IR/Linalg.h> <mlir/Dialect/Math/IR/Math.h> <mlir/Dialect/MemRef/IR/MemRef.h>
    <mlir/Dialect/SCF/IR/SCF.h> <mlir/Dialect/Tensor/IR/Tensor.h> <mlir/IR/Builders.h> <mlir/IR/PatternMatch.h>
    <mlir/Pass/PassManager.h>)
endif()

# lnn_set_compiler_flags(target): flags of the compiler's own code; exceptions are off as in LLVM.
function(lnn_set_compiler_flags name)
  target_compile_options(${name} PRIVATE ${LNN_COMPILER_FLAGS})
  if(LNN_PRECOMPILE_HEADERS)
    target_precompile_headers(${name} REUSE_FROM LnnHeaders)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
      target_compile_options(${name} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
    endif()
  endif()
endfunction()

# lnn_add_library(Name SOURCES... [LINK libs...]): a static library of the compiler.
function(lnn_add_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  lnn_set_compiler_flags(${name})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} MLIR LLVM)
  get_property(gen GLOBAL PROPERTY LNN_TABLEGEN_TARGETS)
  if(gen)
    add_dependencies(${name} ${gen})
  endif()
endfunction()

# lnn_add_tool(name SOURCES... [LINK libs...]): a command-line tool in build/bin.
function(lnn_add_tool name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_compile_options(${name} PRIVATE ${LNN_COMPILER_FLAGS}) # an executable is PIE, the precompiled headers are PIC
  target_link_libraries(${name} PRIVATE ${ARG_LINK} MLIR LLVM)
endfunction()
