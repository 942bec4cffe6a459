"""What tools that read openapi.yaml are given beside it: a service to ask, and what schemathesis cannot know."""
