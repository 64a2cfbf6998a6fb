"""The verbs: one function is one use case and one transaction story. The only place that commits."""
