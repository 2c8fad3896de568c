"""Whether an image may get a bone age: what is measured of it, and the gate that judges that."""
