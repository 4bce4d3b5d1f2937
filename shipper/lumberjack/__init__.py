"""The Beats protocol, Lumberjack v2: frames, an incremental decoder, a client and a server."""
