"""Exports the towers as TorchScript and proves, in a clean process, that they are the same."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from homefeed.contracts import (
    METRIC,
    PIN_TOWER_FILE,
    USER_TOWER_FILE,
    Column,
    Manifest,
    read_manifest,
    write_manifest,
)
from homefeed.export.layout import EXPORTED_TOWERS
from homefeed.export.parity import SAMPLES_FILE, TOLERANCE
from homefeed.export.plain import plain_pin_tower, plain_user_tower, round_ids
from homefeed.features.ages import NUM_AGE_BUCKETS
from homefeed.features.encoder import (
    CONDITION,
    FEATURES_FILE,
    HISTORY,
    HISTORY_ACTIONS,
    HISTORY_AGES,
    NUMERIC,
    PADDING_ROW,
    FeatureEncoder,
    TowerInputs,
)
from homefeed.towers.layout import TOWERS, WEIGHTS_FILE
from homefeed.towers.load import load_towers
from homefeed.towers.model import TwoTowers

NUM_SAMPLES = 64
EMPTY_SHARE = 0.3
"""Share of the sampled rows that is padding: histories and lists are mostly not full."""
SEED = 0


def export_towers(towers: Path, output: Path) -> Manifest:
    """Writes both towers as TorchScript that needs torch alone.

    Args:
        towers: the towers artifact.
        output: folder of the artifact.

    Returns:
        The manifest of the artifact; `details["embedding_space"]` names what the vectors of these
        two towers, and of no others, have in common, and `details["conditional"]` says whether the
        user tower was trained with an interest to be asked for.

    Raises:
        RuntimeError: an exported tower differs from the eager one, or does not run by itself.
    """
    source = read_manifest(towers, TOWERS)
    encoder = FeatureEncoder.load(towers / FEATURES_FILE)
    eager = load_towers(towers, encoder)
    round_ids(eager)
    output.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(towers / FEATURES_FILE, output / FEATURES_FILE)
    _script(plain_user_tower(eager), output / USER_TOWER_FILE)
    _script(plain_pin_tower(eager), output / PIN_TOWER_FILE)
    difference = _check_parity(eager, encoder, output)
    weights = {name: source.files[name] for name in (WEIGHTS_FILE, FEATURES_FILE)}
    if eager.has_int8_ids:
        weights["ids"] = "int8"
    return write_manifest(
        output,
        Manifest(
            kind=EXPORTED_TOWERS,
            window=source.window,
            inputs={TOWERS: source.fingerprint},
            details={
                "embedding_space": hashlib.sha256(repr(weights).encode()).hexdigest()[:16],
                "dimension": eager.dimension,
                "metric": METRIC,
                "normalised": eager.normalise,
                "conditional": eager.is_conditional,
                "parity": difference,
            },
        ),
    )


def _script(tower: nn.Module, path: Path) -> None:
    torch.jit.script(tower).save(str(path))


def _check_parity(eager: TwoTowers, encoder: FeatureEncoder, output: Path) -> float:
    """The largest difference between the exported towers and the eager ones."""
    users, pins = _sample_users(encoder), _sample(encoder.pin_inputs, _generator())
    with torch.inference_mode():
        samples = {
            USER_TOWER_FILE: (users, eager.embed_users(users).vectors),
            PIN_TOWER_FILE: (pins, eager.embed_pins(pins)),
        }
    torch.save(samples, output / SAMPLES_FILE)
    command = [sys.executable, "-m", "homefeed.export.parity", str(output)]
    finished = subprocess.run(command, capture_output=True, text=True)
    (output / SAMPLES_FILE).unlink()
    if finished.returncode:
        raise RuntimeError(
            "the exported towers are not the trained ones (equal to "
            f"{TOLERANCE:g} in a process of their own): {finished.stdout}{finished.stderr}"
        )
    return float(finished.stdout)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)


def _sample_users(encoder: FeatureEncoder) -> dict[str, Tensor]:
    generator = _generator()
    length = encoder.config.history.length
    features = _sample(encoder.user_inputs, generator)
    num_pins = len(encoder.vocabularies[Column.PIN_ID])
    features[HISTORY] = _rows(num_pins, length, generator)
    features[HISTORY_ACTIONS] = _rows(len(encoder.actions), length, generator)
    features[HISTORY_AGES] = _rows(NUM_AGE_BUCKETS, length, generator)
    if encoder.has_conditions:
        features[CONDITION] = _rows(len(encoder.vocabularies[Column.INTERESTS]), 1, generator)
    return features


def _sample(inputs: TowerInputs, generator: torch.Generator) -> dict[str, Tensor]:
    """Random features of every kind: int64 [NUM_SAMPLES, values], float32 [NUM_SAMPLES, n]."""
    features = {
        name: _rows(num_rows, values, generator)
        for name, (num_rows, values) in inputs.categorical.items()
    }
    widths = inputs.embeddings | ({NUMERIC: inputs.num_numeric} if inputs.num_numeric else {})
    for name, width in widths.items():
        features[name] = torch.randn(NUM_SAMPLES, width, generator=generator)
    return features


def _rows(num_rows: int, values: int, generator: torch.Generator) -> Tensor:
    rows = torch.randint(num_rows, (NUM_SAMPLES, values), generator=generator)
    is_empty = torch.rand(NUM_SAMPLES, values, generator=generator) < EMPTY_SHARE
    is_empty[0] = True
    return rows.masked_fill(is_empty, PADDING_ROW)
