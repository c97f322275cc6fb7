"""What a function app declares: its functions, their bindings and signatures, and what is refused."""
