"""Energy flow polynomials (arXiv:1712.07124): multigraphs, and their values on jets."""

from raybead.observables.efps.multigraphs import Multigraph, multigraphs, n_polynomials

__all__ = ["Multigraph", "multigraphs", "n_polynomials"]
