"""Records that look wrong: repeated texts and stock phrases, found without torch."""

from trsllava.audit.suspicions import Suspicion, audit

__all__ = ["Suspicion", "audit"]
