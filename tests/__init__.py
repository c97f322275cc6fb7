"""Tests of the whole app; a package, so that the checkout is on the import path however pytest is called."""
