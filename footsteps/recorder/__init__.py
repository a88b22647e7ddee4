"""The recorder: what is written of a run while it runs."""
