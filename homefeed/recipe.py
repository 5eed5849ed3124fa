"""The recipe: one YAML file that says all of a run, section by section."""

from importlib import resources
from pathlib import Path

from homefeed.config import Config, from_yaml
from homefeed.corpus.config import CorpusConfig
from homefeed.data_checks.config import ChecksConfig
from homefeed.dataset.config import DatasetConfig
from homefeed.evaluation.config import EvaluationConfig
from homefeed.events.config import EventsConfig
from homefeed.features.config import FeaturesConfig
from homefeed.index.config import IndexConfig
from homefeed.release.config import OnlineSkewConfig
from homefeed.towers.config import TowersConfig, TrainingConfig, check_features, check_together


class Recipe(Config, frozen=True, kw_only=True):
    """Everything a run of `train_and_release` can be told."""

    name: str
    seed: int = 0
    events: EventsConfig
    features: FeaturesConfig
    dataset: DatasetConfig = DatasetConfig()
    checks: ChecksConfig = ChecksConfig()
    towers: TowersConfig = TowersConfig()
    training: TrainingConfig = TrainingConfig()
    corpus: CorpusConfig = CorpusConfig()
    index: IndexConfig = IndexConfig()
    online_skew: OnlineSkewConfig = OnlineSkewConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    def __post_init__(self) -> None:
        check_together(self.towers, self.training)
        check_features(self.features, self.towers, self.training)


def read_recipe(path_or_name: str) -> Recipe:
    """Reads a recipe from a YAML file, or by the name of one that homefeed ships.

    Raises:
        ValueError: no such recipe, or a key or value in it does not fit; names the place.
    """
    path = Path(path_or_name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ValueError(f"recipe {path} does not exist")
        return from_yaml(path.read_bytes(), Recipe, str(path))
    shipped = resources.files("pipelines") / "recipes"
    names = sorted(Path(entry.name).stem for entry in shipped.iterdir())
    if path_or_name not in names:
        raise ValueError(
            f"no recipe {path_or_name!r}: shipped ones are {', '.join(names)}; "
            "your own is given as a path that ends in .yaml"
        )
    return from_yaml((shipped / f"{path_or_name}.yaml").read_bytes(), Recipe, path_or_name)
