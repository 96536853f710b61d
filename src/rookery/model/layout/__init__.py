"""How do other programs write down what a checkpoint is?"""
