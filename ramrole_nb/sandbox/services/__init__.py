"""The services. Importing a module registers its operations."""
