"""How are a training run and an evaluation shown as a page?"""
