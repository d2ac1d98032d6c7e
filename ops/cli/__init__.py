"""The command line of every command: arguments in, tables out."""
