"""Conformance suites, fakes and golden files for authors of nbf plugins. Import the module you need."""
