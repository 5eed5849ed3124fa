"""Runs exported towers in a clean process: `python -m homefeed.export.parity FOLDER`.

FOLDER holds `samples.pt`, the inputs of both towers and what the eager ones made of them, beside
the exported files. Exits with 1 and says why where the exported towers cannot be loaded, need a
training library, or give other vectors. Imports torch alone, as serving does.
"""

import sys
from pathlib import Path
from typing import Any

import torch

SAMPLES_FILE = "samples.pt"
TOLERANCE = 1e-5
"""Largest difference in any component of a unit vector."""
TRAINING_LIBRARIES = ("torchrec", "fbgemm_gpu")


def main() -> int:
    """Compares and prints the largest difference; returns the exit code."""
    modules: dict[str, Any] = sys.modules
    for library in TRAINING_LIBRARIES:
        modules[library] = None  # an import of it raises ImportError
    folder = Path(sys.argv[1])
    samples = torch.load(folder / SAMPLES_FILE, weights_only=True)
    largest = 0.0
    for file, (inputs, expected) in samples.items():
        tower = torch.jit.load(folder / file).eval()
        # Serving runs it optimised.
        optimised = torch.jit.optimize_for_inference(tower)
        for name, each in {file: tower, f"{file}, optimised,": optimised}.items():
            with torch.inference_mode():
                found = each(inputs)
            if found.shape != expected.shape:
                print(f"{name} gives {tuple(found.shape)}, the eager tower {tuple(expected.shape)}")
                return 1
            difference = (found - expected).abs().max().item()
            if not difference <= TOLERANCE:
                print(
                    f"{name} differs from the eager tower by {difference:.2g}, over {TOLERANCE:g}"
                )
                return 1
            largest = max(largest, difference)
    print(largest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
