"""The engine on Redis (or Valkey): each verb one Lua call over a batch, one pipelined connection, one for bells."""
