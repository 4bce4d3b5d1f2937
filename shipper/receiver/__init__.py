"""``shipper receive``: events of Beats and of other agents, through the pipeline, to the output."""
