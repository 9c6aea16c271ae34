"""What a run does at each moment: one snapshot, and the bar, the line and the JSON object that show it."""
