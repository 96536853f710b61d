"""How is a trained model fitted to a use?"""
