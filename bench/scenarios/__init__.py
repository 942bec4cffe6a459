"""Bad days on purpose: the service as a child process before destinations that throttle, fail, crawl and die."""
