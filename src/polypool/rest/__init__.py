"""An app's public tasks over HTTP, told without any web framework: what is asked for, checked and answered. The faces
in `web` and `doors` carry it over the frameworks."""
