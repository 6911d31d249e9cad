"""The commands of the command line, one file a group. Whatever is heavy is imported inside the
command that needs it.
"""
