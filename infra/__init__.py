"""The components that the program is made of; never imported by the handler."""
