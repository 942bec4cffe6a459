"""Every decoder of bytes that others wrote, under one roof: whatever the bytes, it returns, or raises what it documents."""
