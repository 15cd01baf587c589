"""What may be asked of the methods of this family, and what it departs from; imports no torch."""
