#!/usr/bin/env bash
# Installs what is missing, makes .venv and builds into build/. Run again, it does only what is left to do.
#
#   scripts/setup.sh            for using the compiler
#   scripts/setup.sh --test     and what the tests need beside
#
# On Debian and Ubuntu, packages come from apt-get (as root, or through sudo). Where LLVM and MLIR 22 are there already,
# found as MLIR_DIR or through llvm-config-22, they are used. Other settings from the environment:
#   PYTHON      the interpreter that .venv is made of (/usr/bin/python3)
#   CXX, CC     the compiler (clang-22, which builds fastest)
#   LNN_JOBS    compilers at a time (as many as there are processors)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
readonly llvm=22
log=$root/build/setup.log
mkdir -p build

fail() {
  printf 'setup: error: %s\n' "$*" >&2
  exit 1
}

# step "What" command...: runs it with its output in the log; says what was done and how long it took.
step() {
  local what=$1 start=$SECONDS
  shift
  [ -t 1 ] && printf '   ... %s\r' "$what"
  printf '\n== %s: %s\n' "$what" "$*" >>"$log"
  if ! "$@" >>"$log" 2>&1 </dev/null; then
    tail -n 25 "$log" >&2
    fail "failed: $what (the whole log: $log)"
  fi
  printf '%4ds %s\n' $((SECONDS - start)) "$what"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "to install packages, run this as root or install sudo; needed: ${missing[*]}"
  fi
}

apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 "$@"; }

installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed'; }

has_candidate() { LC_ALL=C apt-cache policy "$1" | grep -q 'Candidate: [0-9]'; }

# LLVM's own packages, for releases of Debian and Ubuntu that have no LLVM 22: https://apt.llvm.org
add_llvm_repository() {
  local codename
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  [ -n "$codename" ] || fail "cannot tell which release this is: install LLVM and MLIR $llvm, and set MLIR_DIR"
  apt install --no-install-recommends ca-certificates curl
  curl -fsSL https://apt.llvm.org/llvm-snapshot.gpg.key -o build/llvm.asc
  as_root install -m 644 build/llvm.asc /usr/share/keyrings/apt.llvm.org.asc
  echo "deb [signed-by=/usr/share/keyrings/apt.llvm.org.asc] https://apt.llvm.org/$codename/ llvm-toolchain-$codename-$llvm main" |
    as_root tee /etc/apt/sources.list.d/llvm-$llvm.list >/dev/null
  apt update
}

# Where MLIR's CMake files are, if they are anywhere.
find_mlir() {
  local prefix
  if [ -n "${MLIR_DIR:-}" ]; then
    [ -f "$MLIR_DIR/MLIRConfig.cmake" ] || fail "MLIR_DIR is '$MLIR_DIR', which has no MLIRConfig.cmake"
    return
  fi
  prefix=$(llvm-config-$llvm --prefix 2>/dev/null || echo /usr/lib/llvm-$llvm)
  [ ! -f "$prefix/lib/cmake/mlir/MLIRConfig.cmake" ] || MLIR_DIR=$prefix/lib/cmake/mlir
}

packages=(cmake ninja-build g++ ccache libprotobuf-dev protobuf-compiler libonnx-dev libgtest-dev zlib1g-dev
  libzstd-dev libxml2-dev python3-venv python3-dev)
llvm_packages=(llvm-$llvm-dev libmlir-$llvm-dev mlir-$llvm-tools llvm-$llvm-tools liblld-$llvm-dev)
# Artifacts for AArch64 are run under emulation.
if [ "${1:-}" = --test ] && [ "$(uname -m)" = x86_64 ]; then packages+=(qemu-user g++-aarch64-linux-gnu libc6-dev-arm64-cross); fi
compiler_packages=(clang-$llvm lld-$llvm clang-format-$llvm)

install_packages() {
  local package
  missing=()
  for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
  local wanted=("${compiler_packages[@]}")
  find_mlir
  # A package of LLVM that this script did not put there is used as it is; its linker library has a package of its own.
  [ -n "${MLIR_DIR:-}" ] && [ "$MLIR_DIR" != /usr/lib/llvm-$llvm/lib/cmake/mlir ] && wanted=() || wanted+=("${llvm_packages[@]}")
  for package in ${wanted[@]+"${wanted[@]}"}; do installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  step "apt-get update" apt update
  for package in "${missing[@]}"; do
    case $package in
      *-$llvm*) has_candidate "$package" || { step "adding apt.llvm.org" add_llvm_repository; break; } ;;
    esac
  done
  step "apt-get install (${#missing[@]} packages)" apt install --no-install-recommends "${missing[@]}"
}

check_commands() {
  local command
  for command in cmake ninja protoc; do
    command -v $command >/dev/null || fail "$command is missing, and this is no system with apt-get: see README.md, Other systems"
  done
}

make_venv() {
  local python=${PYTHON:-} stamp
  if [ -z "$python" ]; then
    python=$(command -v /usr/bin/python3 || command -v python3) || fail "no python3; set PYTHON"
  fi
  "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))' 2>/dev/null ||
    fail "$python has no venv module or is older than 3.9; set PYTHON"
  [ -x .venv/bin/python ] || step "Python environment in .venv" "$python" -m venv .venv
  stamp=$(cat scripts/requirements.txt)
  if [ "$stamp" != "$(cat .venv/lnn-requirements 2>/dev/null)" ]; then
    step "pip install (numpy, onnx, onnxruntime, pytest ...)" .venv/bin/python -m pip install -q --disable-pip-version-check -r scripts/requirements.txt
    echo "$stamp" >.venv/lnn-requirements
  fi
  echo "$root/build/python" >"$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/lnnc-build.pth"
}

configure() {
  [ ! -f build/build.ninja ] || return 0
  local options=(-DCMAKE_BUILD_TYPE=Release -DLNN_BUILD_PYTHON=ON "-DPython_EXECUTABLE=$root/.venv/bin/python")
  find_mlir
  [ -z "${MLIR_DIR:-}" ] || options+=("-DMLIR_DIR=$MLIR_DIR" "-DLLVM_DIR=${LLVM_DIR:-$MLIR_DIR/../llvm}")
  if [ -z "${CXX:-}${CC:-}" ] && command -v clang++-$llvm >/dev/null; then
    options+=(-DCMAKE_C_COMPILER=clang-$llvm -DCMAKE_CXX_COMPILER=clang++-$llvm)
  fi
  local linker
  for linker in ld.lld-$llvm ld.lld; do
    if command -v $linker >/dev/null; then
      for kind in EXE SHARED MODULE; do options+=("-DCMAKE_${kind}_LINKER_FLAGS=-fuse-ld=lld"); done
      break
    fi
  done
  if command -v ccache >/dev/null; then
    # What ccache has to be told to work with precompiled headers.
    local launcher="env;CCACHE_SLOPPINESS=pch_defines,time_macros;ccache"
    options+=("-DCMAKE_C_COMPILER_LAUNCHER=$launcher" "-DCMAKE_CXX_COMPILER_LAUNCHER=$launcher")
  fi
  step "cmake" cmake -G Ninja -S . -B build "${options[@]}"
}

# Builds, with ninja's last line as the progress: every ten seconds where the output is no terminal.
build() {
  local start=$SECONDS jobs=${LNN_JOBS:-$(nproc)} pid line
  ninja -j "$jobs" -C build >build/build.log 2>&1 </dev/null &
  pid=$!
  local last=$SECONDS every=10
  [ -t 1 ] && every=1
  while kill -0 $pid 2>/dev/null; do
    sleep 0.2
    if [ $((SECONDS - last)) -ge $every ]; then
      last=$SECONDS
      line=$(grep -ao '^\[[0-9]*/[0-9]*\]' build/build.log | tail -n 1 || true)
      if [ -t 1 ]; then printf '   ... building %s %ds\r' "$line" $((SECONDS - start)); else printf '   ... building %s\n' "$line"; fi
    fi
  done
  if ! wait $pid; then
    grep -a -A 30 '^FAILED:' build/build.log >&2 || tail -n 30 build/build.log >&2
    fail "the build failed (the whole log: build/build.log)"
  fi
  printf '%4ds build                                        \n' $((SECONDS - start))
}

: >"$log"
[ "$(uname -s)" = Linux ] || fail "Linux is needed; found $(uname -s)"
if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then install_packages; else check_commands; fi
make_venv
configure
build
