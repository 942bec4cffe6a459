"""Two replicas behind haproxy, rolled one by one while producers send: what it costs them."""
