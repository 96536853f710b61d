"""Which ads may appear beside this text?"""
