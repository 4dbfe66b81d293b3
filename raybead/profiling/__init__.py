"""Where time goes: of a whole run (``run``), and of a few steps seen closely (``steps``).

What a whole run measures itself by is imported by every verb; what looks at steps needs torch, and
is imported where it is used.
"""

from raybead.profiling.run import PROFILE, Profile, StageProfile, begun

__all__ = ["PROFILE", "Profile", "StageProfile", "begun"]
