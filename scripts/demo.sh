#!/usr/bin/env bash
# Sets up, builds, and runs two networks exported from PyTorch beside ONNX Runtime.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
echo "Setting up (the first time takes some minutes)"
scripts/setup.sh
exec .venv/bin/python examples/demo.py
