"""Health that is re-checked: when each token is asked again, what came of it, and who is told. See docs/health.md."""
