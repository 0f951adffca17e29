"""The child's side: the program that loads the app and runs its calls. Nothing here runs in the supervisor."""
