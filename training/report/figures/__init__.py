"""What the report's figures are computed from."""

__all__ = ["figures", "histogram", "reason_figures", "slices", "trade_off"]
