"""Every decoder of bytes that others wrote, under one roof: it returns, or raises what it documents."""
