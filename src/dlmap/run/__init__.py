"""A folder of photographs through the core: what to do, what was done, what is written."""
