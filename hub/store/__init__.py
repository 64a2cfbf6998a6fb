"""SQL and Redis: one file per subject, holding its tables and its queries. Functions here never commit."""
