"""How are posts laid out and looked up?"""
