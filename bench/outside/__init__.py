"""What comes from outside: texts, names and sound files of strangers, and words of plug-ins."""
