"""The only home of the SQL parser. Importing this package does not load it: what needs it imports it when called."""
