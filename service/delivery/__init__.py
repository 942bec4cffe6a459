"""The delivery engine: routes, lanes, dead letters, and the pipeline that ties them."""
