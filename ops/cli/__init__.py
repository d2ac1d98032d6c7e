"""The command line of every verb: arguments in, tables out."""
