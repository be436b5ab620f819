"""``python -m nbf_run`` is ``nbf-run``."""

from nbf_run.cli import main

main()
