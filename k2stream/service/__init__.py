"""The service: REST and streams for clients, an ASGI application beside Faust in a candles worker."""
