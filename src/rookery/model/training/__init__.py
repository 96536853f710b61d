"""How is a run of training carried out, watched and saved?"""
