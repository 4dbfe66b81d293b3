"""``[graph]``: what an item, a jet or an event, looks like to a model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from raybead.config.features import (
    DEFAULT,
    NAMES,
    PRESETS,
    Chain,
    FeatureSet,
    NodeKind,
    Preset,
    ScalingChoice,
    chain_of,
    check_columns,
    check_node,
)
from raybead.config.section import Section


class Efps(Section):
    """``[graph.efps]``: energy flow polynomials of every jet (arXiv:1712.07124), for models that
    take them; standardised on training background."""

    n: Annotated[int, Field(ge=1, le=7)] = 5
    """Most vertices of a multigraph."""
    d: Annotated[int, Field(ge=0, le=8)] = 6
    """Most edges."""
    beta: PositiveFloat = 1.0
    """Angular exponent."""
    composites: bool = True
    """Whether products of connected ones count, too, which a network could make itself."""
    constituents: PositiveInt = 30
    """Leading ones that they are made of."""


class Graph(Section):
    """Items, their nodes' features, and the scaling fitted to them on training background."""

    level: Literal["jet", "event"] = "jet"
    """What a model reconstructs: every jet by itself, or the whole event."""
    node: NodeKind = "constituent"
    """Of an event: the constituents of its leading ``jets`` jets, these jets, or the event."""
    jets: PositiveInt = 3
    """Leading jets of an event that take part; ``[jets] leading`` says how many are kept."""
    efps: Efps | None = None
    """Energy flow polynomials of every jet, for ``[model.fusion]``."""
    preset: Preset | None = None
    """Fills in ``features`` and ``scaling`` where the section doesn't say them."""
    features: FeatureSet = "jet-axis"
    """jet-axis: (pT d-eta, pT d-phi, pT); cartesian: (px, py, pz); cylindrical: (pT, eta, phi);
    p4: (px, py, pz, E); p4-cylindrical: (pT, eta, phi, m); p4-btag: (pT, eta, phi, b-tag of the
    jet). Constituents are massless: m is 0, and (pT, eta, phi) is the whole four-momentum. Of jets
    as nodes all but jet-axis, with their own masses, and jet: (n constituents, b-tag, pT, eta,
    phi). Of the event: event, (missing pT, its phi, number of jets, their summed pT), of all jets
    that ``[jets] leading`` keeps."""
    pt_power: PositiveFloat = 1.0
    """a of jet-axis, whose features are then (pT^a d-eta, pT^a d-phi, pT^a): how much the hard
    constituents count."""
    nodes: PositiveInt | Literal["all"] = 30
    """Constituents of a jet that become nodes, leading in pT. Of an event each jet's have as many
    places; with ``all``, one jet's lie right behind another's."""
    scaling: ScalingChoice = "standard"
    """A kind or a chain of them for every column, or a table by column; columns that a table
    doesn't name take its ``default``, or ``standard``. See :mod:`raybead.graphs.scaling_steps`."""

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, raw: Any) -> Any:
        chosen = raw.get("preset") if isinstance(raw, dict) else None
        return {**PRESETS[chosen], **raw} if chosen in list(PRESETS) else raw

    @field_validator("scaling")
    @classmethod
    def _of_columns_that_are_there(
        cls, scaling: ScalingChoice, info: ValidationInfo
    ) -> ScalingChoice:
        if "features" in info.data:  # or that fault is said already
            check_columns(info.data["features"], _by_column(scaling))
        return scaling

    @model_validator(mode="after")
    def _power_of_jet_axis(self) -> Graph:
        if self.pt_power != 1 and self.features != "jet-axis":
            raise ValueError(f"pt_power goes with features jet-axis, not {self.features}")
        return self

    @model_validator(mode="after")
    def _nodes_of_level(self) -> Graph:
        if self.level == "jet" and self.node != "constituent":
            raise ValueError(f"node = {self.node!r} goes with level = 'event'")
        check_node(self.node, self.features)
        return self

    @property
    def slots(self) -> int:
        """Nodes an item at most; 30 a jet where all constituents are taken."""
        if self.node == "event":
            return 1
        jets = self.jets if self.level == "event" else 1
        if self.node == "jet":
            return jets
        return jets * (30 if self.nodes == "all" else self.nodes)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features before scaling."""
        return NAMES[self.features]

    @property
    def scaled_columns(self) -> tuple[str, ...]:
        """Names of the features that a model sees: ``sin-cos`` makes two of one."""
        found: list[str] = []
        for column in self.columns:
            split = "sin-cos" in self.chain(column)
            found += [f"sin_{column}", f"cos_{column}"] if split else [column]
        return tuple(found)

    def chain(self, column: str) -> Chain:
        """The kinds of scaling of a column, first to last."""
        chains = _by_column(self.scaling)
        return chains.get(column, chains[DEFAULT])


def _by_column(scaling: ScalingChoice) -> dict[str, Chain]:
    table = scaling if isinstance(scaling, dict) else {DEFAULT: scaling}
    return {DEFAULT: chain_of("standard")} | {key: chain_of(of) for key, of in table.items()}
