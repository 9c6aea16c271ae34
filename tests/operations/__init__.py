"""Every operation of the table held against what others wrote: the official SDK and the vendor's document."""
