"""Parts of the API's own description, of which `http/openapi.py` makes `openapi.yaml`."""
