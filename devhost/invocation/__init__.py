"""One call of a function: values in, the function on the loop or in a thread, values out."""
