"""Training small models from scratch: the loop that the commands named `pretrain` share.

torch is imported at the top of the modules here: only trainings import them.
"""
