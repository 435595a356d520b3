"""What can be done where a worker refuses its state: found out, said beforehand, done."""
