"""What the times say. Everything here reads tables and knows neither network nor widgets."""
