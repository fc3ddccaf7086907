"""What runs inside the sandbox. Imports no other part of the grader but `alongside`."""
