"""The two HTTP servers, guarded: connections, heads, sizes and times."""
