"""The components of the program. The handler never imports them."""
