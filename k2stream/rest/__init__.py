"""Plain requests to exchanges' REST interfaces."""
