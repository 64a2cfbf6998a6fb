"""A self-hosted CRM integration hub with a consent centre. Start with docs/architecture.md."""

__version__ = "0.1.0"
