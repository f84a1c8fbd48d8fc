# What scripts/test.sh runs that takes more than a line, and how it counts.

# count_tests LOG CODE: "PASSED FAILED", out of the closing lines of pytest, lit and ctest; else the suite is one test.
count_tests() {
  local log=$1 code=$2 ok=0 bad=0
  if grep -aqE '^[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+' "$log"; then
    bad=$(sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests failed out of .*/\1/p' "$log" | tail -n 1)
    ok=$(($(sed -nE 's/^[0-9]+% tests passed, .* out of ([0-9]+).*/\1/p' "$log" | tail -n 1) - bad))
  elif grep -aqE '^Total Discovered Tests:' "$log"; then
    ok=$(sum_lines 's/^ +(Passed|Expectedly Failed) *: *([0-9]+).*/\2/p' "$log")
    bad=$(sum_lines 's/^ +(Failed|Timed Out|Unresolved|Unexpectedly Passed) *: *([0-9]+).*/\2/p' "$log")
  elif grep -aqE '^[=0-9].* in [0-9.]+s' "$log"; then
    ok=$(tail -n 1 "$log" | grep -oE '[0-9]+ passed' | grep -oE '[0-9]+' || echo 0)
    bad=$(($(tail -n 1 "$log" | grep -oE '[0-9]+ failed' | grep -oE '[0-9]+' || echo 0) +
      $(tail -n 1 "$log" | grep -oE '[0-9]+ errors?' | grep -oE '[0-9]+' || echo 0)))
  elif [ "$code" = 0 ]; then
    ok=1
  fi
  # A suite that failed without saying which test did has failed all the same.
  if [ "$code" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
  echo "$ok $bad"
}

sum_lines() { sed -nE "$1" "$2" | awk '{ sum += $1 } END { print sum + 0 }'; }

cpp_format() {
  local tool
  tool=$(command -v clang-format-22 || echo clang-format)
  "$tool" --version | grep -q 'version 22\.' || { echo "clang-format 22 is needed; found $("$tool" --version)"; return 1; }
  git ls-files -z '*.cpp' '*.h' '*.c' | xargs -0 "$tool" --dry-run --Werror
}

python_format() {
  .venv/bin/ruff format --check . && .venv/bin/ruff check .
}

run_lit() {
  local tools
  tools=$(sed -n 's/^config.llvm_tools_dir = r"\(.*\)"$/\1/p' build/test/lit.site.cfg.py)
  "$tools/lit" -v build/test
}
