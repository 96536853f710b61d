"""How does Hugging Face write down what a checkpoint is?"""
