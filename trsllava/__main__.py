"""`python -m trsllava` is `trsllava`."""

from trsllava.cli import main

main()
