"""Push without a seam: `/v1/stream` over WebSocket and as Server-Sent Events."""
