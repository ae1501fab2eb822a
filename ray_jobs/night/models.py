"""The models of a night: a chosen fleet, and that fleet once its training data is known."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from scoring.nets import PrivateForm
from scoring.run_spec import RunSpec
from scoring.runs.fleet import Fleet, Hardware
from scoring.runs.imports import Imported
from scoring.runs.record import Run, identify
from scoring.spec import Signal
from scoring.store.keys import Split


@dataclass(frozen=True, kw_only=True)
class ChosenFleet:
    """The fleet that a night uses. Its runs have no keys until their data is known."""

    fleet: Fleet
    hardware: Hardware
    settings: Mapping[str, str]
    """Settings that must not change silently, by the flag that sets them."""
    train_rows: int
    published_on: Mapping[Split, str] | None
    """Dataset versions that the published fleet was trained on; None for a new fleet."""
    imported: tuple[Imported, ...] = ()
    private_form: PrivateForm = "same"
    """Form of the net that private runs train; "none" if it cannot be trained privately."""

    def checkpoints(self) -> int:
        """Count the checkpoints that watched runs keep: one per epoch, or per imported run."""
        return sum(
            spec.recipe.epochs_for(self.train_rows) if spec.keep_epochs else 1
            for spec in self.fleet.watched
        )

    def needed(self, signals: Iterable[Signal], splits: Iterable[Split]) -> tuple[RunSpec, ...]:
        """Return every run that `signals` read on `splits`, parents first."""
        return self.fleet.needed(sorted(signals), splits)

    def on(self, versions: Mapping[Split, str]) -> "Models":
        """Return the models: this fleet trained on what it was published on, else on `versions`."""
        return Models(chosen=self, trained_on=self.published_on or versions)


@dataclass(frozen=True, kw_only=True)
class Models:
    """A fleet and the data that it was or will be trained on, so that every run has its key."""

    chosen: ChosenFleet
    trained_on: Mapping[Split, str]
    """Dataset version of each split."""

    @property
    def fleet(self) -> Fleet:
        """The specs of all runs."""
        return self.chosen.fleet

    def hardware_settings(self) -> dict[str, str]:
        """Return what a later night must inherit to find the same runs."""
        return {name: str(value) for name, value in asdict(self.chosen.hardware).items()}

    def base(self) -> Run:
        """Return the base run."""
        return identify(self.fleet.base, self.trained_on)

    def runs(self, signal: Signal, split: Split) -> tuple[Run, ...]:
        """Return the runs that a metric of `signal` reads to score `split`."""
        return tuple(identify(spec, self.trained_on) for spec in self.fleet.runs(signal, split))

    def needed(self, signals: Iterable[Signal], splits: Iterable[Split]) -> tuple[Run, ...]:
        """Return every run that `signals` read on `splits`, parents first."""
        specs = self.chosen.needed(signals, splits)
        return tuple(identify(spec, self.trained_on) for spec in specs)
