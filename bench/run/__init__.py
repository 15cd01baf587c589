"""Running a plan: fits, renderings, scores, records."""
