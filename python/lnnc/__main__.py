"""`python -m lnnc`: which lnnc this is and what it compiles for; with a file, what the model's
inputs and outputs are.
"""

import argparse
import sys

import lnnc


def main() -> int:
    """Exit status: 0, or 1 where the model cannot be compiled or loaded."""
    parser = argparse.ArgumentParser(prog="python -m lnnc", description=__doc__)
    parser.add_argument("model", nargs="?", help="an .onnx or .mlir file, or an artifact")
    parser.add_argument("--version", action="version", version=f"lnnc {lnnc.__version__}")
    arguments = parser.parse_args()
    try:
        if arguments.model is None:
            print(f"lnnc {lnnc.__version__}, targets: {', '.join(lnnc.targets())}")
            return 0
        session = lnnc.InferenceSession(arguments.model)
    except lnnc.Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{session.model.name}: for {session.model.target} {session.model.cpu}")
    for info in session.model.get_inputs() + session.model.get_outputs():
        pair = f" <-> {info.pair}" if info.pair else ""
        print(f"  {info.role:6} {info.name} {list(info.shape)} {info.dtype}{pair}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
