"""The gym: broken worlds in the sandbox, each with the words a user's program really printed; find the cause, mend it.

Start at `case.py`; what is broken in each case is in `sheets.py`.
"""

from .case import Case, Cases, Gym, Symptom, gym

__all__ = ["Case", "Cases", "Gym", "Symptom", "gym"]
