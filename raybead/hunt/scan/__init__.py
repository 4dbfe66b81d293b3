"""Looking for a bump: test statistics of a spectrum against its prediction."""

from raybead.hunt.scan.bumps import BumpHunt, Windows, local_p, test_statistic

__all__ = ["BumpHunt", "Windows", "local_p", "test_statistic"]
