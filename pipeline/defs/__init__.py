"""What Dagster loads: one file per stage of the flow. The work itself is done elsewhere."""
