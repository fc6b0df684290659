"""`python -m ramrole_nb` is the `ramrole` command."""

from .cli import main

raise SystemExit(main())
