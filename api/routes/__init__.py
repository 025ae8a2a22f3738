"""The routes: one module each, which `api.app` collects. They do not import each other."""
