"""``[data.background]``, ``[data.search]``, ``[data.signal]``: where events come from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from raybead.config.section import Section

Path = Annotated[str, Field(min_length=1)]


class FileSource(Section):
    """What every source that reads files can say."""

    path: Path | Annotated[tuple[Path, ...], Field(min_length=1)]
    """A file, a folder, a pattern with ``*`` or ``?``, or several of these; local or fsspec URIs.
    Files are read in this order; those of a folder or pattern in the order of their names."""
    generator: str | None = None
    """Label of the generator (or of the process) that made the events."""
    truth: Annotated[int, Field(ge=0, le=99)] | None = None
    """Class of all events, 0 for background: stands in place of what the files say."""
    bad_rows: Literal["refuse", "drop"] = "refuse"
    """What a row that can't be an event does: end the job, or be dropped and counted."""
    max_abs_eta: PositiveFloat = 6.0
    """A particle with pT whose eta lies beyond this, either way, makes its row a bad one."""

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,) if isinstance(self.path, str) else self.path


class LhcoSource(FileSource):
    """Files in the LHC Olympics 2020 layout: one row of 700 x (pT, eta, phi) an event."""

    source: Literal["lhco"]
    labels: str | None = None
    """A master key: one label a line in file order. It stands for the label column."""
    start: NonNegativeInt = 0
    """First row that is read, counted from 0."""
    stop: PositiveInt | None = None
    """Rows ``start <= row < stop`` are read; to the end of the file if not given."""

    @model_validator(mode="after")
    def _labels_or_truth(self) -> LhcoSource:
        if self.labels is not None and self.truth is not None:
            raise ValueError("labels and truth both say the events' classes; give one")
        return self

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> LhcoSource:
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(f"stop = {self.stop} leaves no row from start = {self.start}")
        return self


class BeadCsvSource(FileSource):
    """Ragged CSV as BEAD reads it: an event a row, its jets one behind another.

    ``evtwt, met, metphi, njets``, then for each jet ``npart, isbtagged`` and npart times
    ``pid, pt, eta, phi``.
    """

    source: Literal["bead_csv"]
    names: Literal["bead", "free"] = "bead"
    """bead: of a folder or pattern, ``bkg_train*`` are background, ``bkg_test*`` and
    ``sig_test*`` search, and what follows in a name is the generator; free: names say nothing."""


class Columns(Section):
    """Names of columns or branches; a dot reaches into a struct (``jets.constituents.pt``).

    ``pt``, ``eta`` and ``phi`` of particles are lists an event, or lists of lists: then the
    jets are ready-made.
    """

    pt: str
    """pT of the particles."""
    eta: str
    """Pseudorapidity of the particles."""
    phi: str
    """Azimuth of the particles."""
    pid: str | None = None
    """PDG codes of the particles."""
    weight: str | None = None
    """Weight of the event; 1 if not given."""
    met: str | None = None
    """Missing transverse momentum of the event."""
    met_phi: str | None = None
    """Its azimuth."""
    truth: str | None = None
    """Class of the event, 0 for background."""
    btag: str | None = None
    """A list an event with a value a jet, as those below."""
    jet_pt: str | None = None
    """pT of ready-made jets; the four ``jet_`` keys come together."""
    jet_eta: str | None = None
    """Pseudorapidity of ready-made jets."""
    jet_phi: str | None = None
    """Azimuth of ready-made jets."""
    jet_mass: str | None = None
    """Masses of ready-made jets. Without these four a jet's momentum is its constituents' sum."""
    unit: Literal["GeV", "MeV"] = "GeV"
    """Of momenta and masses."""

    @model_validator(mode="after")
    def _momenta_are_whole(self) -> Columns:
        given = [self.jet_pt, self.jet_eta, self.jet_phi, self.jet_mass]
        if any(given) and not all(given):
            raise ValueError("jet_pt, jet_eta, jet_phi and jet_mass come together, or none does")
        return self


class ParquetSource(FileSource):
    """Parquet: raybead's own events, or nested columns that ``columns`` maps."""

    source: Literal["parquet"]
    columns: Columns | None = None
    """Of raybead's own events if not given."""


class RootSource(FileSource):
    """ROOT trees, through uproot (the ``root`` extra)."""

    source: Literal["root"]
    tree: str | None = None
    """Path of the tree; the only one in a file if not given."""
    columns: Columns
    """Which branches hold what."""


class Resonance(Section):
    """W' -> X Y with X, Y -> q q, all masses in GeV."""

    mass: PositiveFloat = 3500.0
    """Of the W'."""
    mass_x: PositiveFloat = 500.0
    """Of the X."""
    mass_y: PositiveFloat = 100.0
    """Of the Y."""
    width: PositiveFloat = 0.01
    """Width of the W' as a share of its mass."""

    @model_validator(mode="after")
    def _decay_is_open(self) -> Resonance:
        if self.mass_x + self.mass_y >= self.mass:
            raise ValueError("mass_x + mass_y must be below mass, or the decay is closed")
        return self


class PythiaSource(Section):
    """Events made on the spot by Pythia 8: QCD dijets, and a resonance among them."""

    source: Literal["pythia"]
    events: PositiveInt
    """Events that pass the selection, signal included."""
    seed: NonNegativeInt = 1
    """Of the generator; two sources of a job have to differ."""
    signal_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Share of the events that come from the resonance."""
    resonance: Resonance = Resonance()
    """What the signal events come from."""
    slice_events: PositiveInt = 250
    """Each slice has a seed of its own, so events don't depend on the number of workers."""
    beam_energy: PositiveFloat = 13000.0
    """Energy of the collisions [GeV]."""
    pt_hat_min: PositiveFloat = 1000.0
    """Least pT of the hard scattering [GeV]; well below ``min_leading_pt``, or that cut is no
    longer the selection."""
    min_leading_pt: NonNegativeFloat = 1200.0
    """Selection of the LHC Olympics: a jet of R = 1.0 above this pT, |eta| < 2.5."""
    smearing: bool = True
    """Whether momenta are smeared as by a simple detector."""
    settings: tuple[str, ...] = ()
    """Further Pythia settings, as its ``readString`` takes them. ``PartonShowers:model = 2`` is
    Vincia (arXiv:2003.00702), which takes the resonance's X, a heavy W, only with a top that is
    heavier still (``6:m0 = ...``). Dire, 3, went out of Pythia before 8.317."""
    generator: str = "pythia8"
    """Label of the events, for instance of the parton shower that ``settings`` choose."""


Source = Annotated[
    LhcoSource | BeadCsvSource | ParquetSource | RootSource | PythiaSource,
    Field(discriminator="source"),
]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, (dict, Section)) else value


Sources = Annotated[tuple[Source, ...], BeforeValidator(_as_list), Field(min_length=1)]
"""A table, or an array of tables whose events are read one behind another."""


class Data(Section):
    """Background trains; search is hunted in."""

    background: Sources
    """What trains the model: a table, or several whose events are read one behind another."""
    search: Sources
    """What is hunted in, likewise."""
    signal: Annotated[tuple[Source, ...], BeforeValidator(_as_list)] = ()
    """Simulated signal that joins the search sample with truth 1: an evaluation."""

    @property
    def searched(self) -> tuple[Source, ...]:
        """All sources of the search sample, signal last and labelled."""
        of_files = {"truth": 1}
        generated = {"signal_fraction": 1.0}
        return (
            *self.search,
            *(
                source.model_copy(
                    update=generated if isinstance(source, PythiaSource) else of_files
                )
                for source in self.signal
            ),
        )

    @model_validator(mode="after")
    def _no_event_is_made_twice(self) -> Data:
        made = [
            source
            for source in (*self.background, *self.searched)
            if isinstance(source, PythiaSource)
        ]
        if len({source.seed for source in made}) < len(made):
            raise ValueError(
                "two Pythia sources have the same seed: the same events would come twice,"
                " and could train the model and be hunted in"
            )
        return self
