"""Which weights of a model are alive: masks in the model, masks as values, torch's own form."""
