"""The report and the model card: figures as plain data, then plots and pages made of them alone."""

__all__ = ["card", "content", "figures", "files", "page", "sections"]
