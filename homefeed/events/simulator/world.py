"""The truth: interests, users and pins, drawn once from the seed, kept as arrays."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np

from homefeed.events.simulator.config import SECONDS_A_DAY, Simulator
from homefeed.events.simulator.interests import Interests, draw_interests
from homefeed.events.simulator.pins import SHARES, Pins, draw_pins
from homefeed.events.simulator.users import Users, draw_users, mix

T = TypeVar("T", Interests, Users, Pins)
PARTS = ("interests", "users", "pins")


@dataclass(frozen=True)
class World:
    """All that is true of a simulated homefeed.

    Attributes:
        config: its settings.
        interests: how frequent they are, and their trends.
        users: the user of id `u` is row `u`.
        pins: the pin of id `i` is row `i`.
    """

    config: Simulator
    interests: Interests
    users: Users
    pins: Pins

    def mix(self, rows: np.ndarray, day: float) -> np.ndarray:
        """Weights theta of users `rows[S]` at a day from the start: float32 [K, S]."""
        lift = self.interests.lift(day)
        return mix(self.users, rows, day, self.config.drift_days, lift)

    def utility(self, users: np.ndarray, weights: np.ndarray, pins: np.ndarray) -> np.ndarray:
        """Utility u, what users get from the pins that they are shown: float32 [L, S].

        Args:
            users: rows of users, [S].
            weights: theta of each, [K, S].
            pins: rows of pins, [L, S].
        """
        config = self.config
        own, tastes = self.users.interests[:, users], self.users.taste[users]
        gains = [np.float32(config.affinity * share) * weights for share in SHARES]
        utilities = np.empty(pins.shape, np.float32)
        # A place at a time, as that much fits into the processor's cache.
        for utility, shown in zip(utilities, pins, strict=True):
            liking = np.einsum("sd,sd->s", self.pins.content[shown], tastes)
            utility[:] = np.float32(config.taste) * liking + self.pins.quality[shown]
            for interest, gain in zip(self.pins.interests, gains, strict=True):
                of_pin = interest[shown]
                for slot, of_slot in zip(own, gain, strict=True):
                    utility += (of_pin == slot) * of_slot
        return utilities

    def all_utilities(self, users: np.ndarray, pins: np.ndarray, day: float) -> np.ndarray:
        """Utility u of every pair of `users[U]` and `pins[P]` at a day: float32 [U, P]."""
        config = self.config
        by_interest = np.zeros((len(users), config.interests), np.float32)
        own = self.users.interests[:, users]
        for slot, weight in zip(own, self.mix(users, day), strict=True):
            by_interest[np.arange(len(users)), slot] += weight
        first, second = self.pins.interests[:, pins]
        utilities = np.float32(config.affinity * SHARES[0]) * by_interest[:, first]
        utilities += np.float32(config.affinity * SHARES[1]) * by_interest[:, second]
        tastes = np.float32(config.taste) * self.users.taste[users]
        utilities += tastes @ self.pins.content[pins].T
        utilities += self.pins.quality[pins]
        return utilities


def draw_world(config: Simulator) -> World:
    """Draws interests, users and pins, each from its own part of the seed."""
    interests = draw_interests(config, make_generator(config, 0))
    users = draw_users(config, interests, make_generator(config, 1))
    pins = draw_pins(config, interests, make_generator(config, 2))
    return World(config, interests, users, pins)


def make_generator(config: Simulator, *part: int) -> np.random.Generator:
    """The random numbers of one part of a simulation, the same wherever and whenever it is run."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(config.seed, spawn_key=part)))


def day_of(config: Simulator, timestamp: int) -> float:
    """Days from the start of the log to a Unix time."""
    return (timestamp - config.start_seconds) / SECONDS_A_DAY


def save_world(world: World, folder: Path) -> None:
    """Writes each array to a file of its own, so that readers can map what they need."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PARTS:
        part = getattr(world, name)
        for field in fields(part):
            np.save(folder / f"{name}_{field.name}.npy", getattr(part, field.name))


def load_world(config: Simulator, folder: Path) -> World:
    """Opens what `save_world` wrote, without reading it all.

    Raises:
        ValueError: a file is missing.
    """

    def load(name: str) -> np.ndarray:
        path = folder / f"{name}.npy"
        if not path.is_file():
            raise ValueError(f"{path} is missing: import the events again")
        return np.load(path, mmap_mode="r")

    def load_part(name: str, kind: type[T]) -> T:
        return kind(**{field.name: load(f"{name}_{field.name}") for field in fields(kind)})

    return World(
        config=config,
        interests=load_part("interests", Interests),
        users=load_part("users", Users),
        pins=load_part("pins", Pins),
    )
