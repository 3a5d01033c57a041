"""Serving what is staged by HTTP: whole releases, verified before they are shown, to those who may have them."""
