"""Small pieces of pages, for every report of the product: HTML, style and plots. Imports no other package of it."""

__all__ = ["html", "monitor_plots", "svg"]
