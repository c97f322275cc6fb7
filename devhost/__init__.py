"""A local Azure Functions host in pure Python, for machines without `func`."""
