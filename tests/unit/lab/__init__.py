"""The laboratory: scenarios, runs and replays."""
