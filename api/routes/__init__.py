"""One module a subject: paths, what they take, what they answer."""
