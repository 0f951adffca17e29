"""A local stand-in for an LLM provider, with an OpenAI-compatible face."""
