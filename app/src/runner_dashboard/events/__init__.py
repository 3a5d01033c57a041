"""What happens, told to whoever watches: numbers that grow, and a way to ask again from one of them."""
