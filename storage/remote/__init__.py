"""Tables and folders that lie in an object store, named by URL: brought to this machine, and published from it.

The modules load the libraries of the extra `cloud` only where a URL is given.
"""

__all__ = ["addresses", "fetching", "objects", "publication"]
