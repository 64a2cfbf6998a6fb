"""Decisions: pure functions of facts and time. Each answers with a reason. Nothing here does I/O."""
