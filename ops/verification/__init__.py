"""The checks that `ops verify` makes, a subject per module; `checks.CHECKS` lists them."""
