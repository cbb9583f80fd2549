"""Reading files safely: photographs, weights and configurations, with clear errors."""
