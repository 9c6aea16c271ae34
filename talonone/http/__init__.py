"""HTTP to the API: what a request becomes on the wire, and what its failure says about whether it may have acted."""
