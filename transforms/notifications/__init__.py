"""Cloud Storage notifications: from a message that names an object to the records in that file."""
