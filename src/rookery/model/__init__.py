"""How is a language model made, judged and used?"""
