"""Commands about the decision log: receipts, outcomes, replay."""
