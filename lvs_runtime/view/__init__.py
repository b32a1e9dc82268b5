"""What people see: the annotated picture (`overlay`), the live page (`web`). numpy alone, unless a module says more."""
