"""The door that time and RQ come through: every job is a small message that may be lost or repeated without harm."""
