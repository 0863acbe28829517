"""The paper venue: a deterministic matching core and what stands around it."""
