"""Ground floor: formats and files, standard library only. Knows nothing of git repositories or stores."""
