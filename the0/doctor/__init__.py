"""`the0 doctor`: what this machine lacks for running bots, and what to do about it.

Every check asks the real part and says what is wrong and how to mend it; none changes anything.
"""

from the0.doctor.check import Check, Status
from the0.doctor.run import run_checks

__all__ = ["Check", "Status", "run_checks"]
