"""Which ads may stand beside this text?"""
