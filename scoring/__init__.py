"""What is computed: measures, data, networks, training, tables. Never imports ray."""
